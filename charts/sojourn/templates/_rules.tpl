{{- /* Generated from sojourn_operator/rbac.py by "make manifests"; edits are lost. */}}
{{- define "sojourn.rules.operator" -}}
# the operator, in every namespace that it acts in
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints
  - checkpointtransfers
  - modelservers
  - trainingattempts
  - trainingjobs
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - sojourn.dev
  resources:
  - checkpointstores
  - migrations
  verbs:
  - get
  - list
  - watch
  - patch
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints/status
  - checkpointstores/status
  - checkpointtransfers/status
  - migrations/status
  - modelservers/status
  - trainingattempts/status
  - trainingjobs/status
  verbs:
  - patch
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints/finalizers
  - checkpointstores/finalizers
  - checkpointtransfers/finalizers
  - migrations/finalizers
  - modelservers/finalizers
  - trainingattempts/finalizers
  - trainingjobs/finalizers
  verbs:
  - update
- apiGroups:
  - ''
  resources:
  - serviceaccounts
  - services
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - apps
  resources:
  - deployments
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - batch
  resources:
  - jobs
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - networking.k8s.io
  resources:
  - ingresses
  - networkpolicies
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - rbac.authorization.k8s.io
  resources:
  - rolebindings
  - roles
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - ''
  resources:
  - pods
  verbs:
  - get
  - list
  - watch
  - create
  - delete
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ''
  resources:
  - persistentvolumeclaims
  - resourcequotas
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ''
  resources:
  - limitranges
  verbs:
  - list
- apiGroups:
  - ''
  resources:
  - configmaps
  verbs:
  - get
- apiGroups:
  - ''
  resources:
  - secrets
  verbs:
  - create
  - delete
- apiGroups:
  - ''
  resources:
  - events
  verbs:
  - create
  - get
  - patch
{{- end }}

{{- define "sojourn.rules.kuberay" -}}
# the operator, for the engine KubeRay
- apiGroups:
  - ray.io
  resources:
  - rayclusters
  - rayjobs
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
{{- end }}

{{- define "sojourn.rules.gateway" -}}
# the operator, for the Gateway API
- apiGroups:
  - gateway.networking.k8s.io
  resources:
  - httproutes
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
{{- end }}

{{- define "sojourn.rules.cluster" -}}
# the operator, on what belongs to the whole cluster; not in namespaced mode
- apiGroups:
  - sojourn.dev
  resources:
  - remoteclusters
  verbs:
  - get
  - list
  - watch
  - patch
- apiGroups:
  - sojourn.dev
  resources:
  - remoteclusters/status
  verbs:
  - patch
- apiGroups:
  - sojourn.dev
  resources:
  - remoteclusters/finalizers
  verbs:
  - update
- apiGroups:
  - apiextensions.k8s.io
  resources:
  - customresourcedefinitions
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ''
  resources:
  - namespaces
  - nodes
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ''
  resources:
  - events
  verbs:
  - create
  - get
  - patch
{{- end }}

{{- define "sojourn.rules.home" -}}
# the operator, in its own namespace: the Lease by which one replica leads, and the kubeconfigs of other clusters
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - create
  - get
  - patch
  - update
- apiGroups:
  - ''
  resources:
  - secrets
  verbs:
  - get
  - list
  - watch
{{- end }}

{{- define "sojourn.rules.remote" -}}
# the operator of another cluster, in the namespaces of this one that it may carry runs to and from
- apiGroups:
  - sojourn.dev
  resources:
  - checkpointtransfers
  - modelservers
  - trainingjobs
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints
  - checkpointstores
  - trainingattempts
  verbs:
  - get
  - list
  - watch
{{- end }}

{{- define "sojourn.rules.remote-cluster" -}}
# the same, on what belongs to the whole cluster: which versions are installed
- apiGroups:
  - apiextensions.k8s.io
  resources:
  - customresourcedefinitions
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ''
  resources:
  - namespaces
  verbs:
  - get
  - list
  - watch
{{- end }}

{{- define "sojourn.rules.remote-home" -}}
# the same, in the operator's own namespace: whether it is there, and which version of it
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - get
{{- end }}

{{- define "sojourn.rules.view" -}}
# people who look; added to the cluster's own role view
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints
  - checkpointstores
  - checkpointtransfers
  - migrations
  - modelservers
  - trainingattempts
  - trainingjobs
  verbs:
  - get
  - list
  - watch
{{- end }}

{{- define "sojourn.rules.edit" -}}
# people who work; added to the cluster's own roles edit and admin
- apiGroups:
  - sojourn.dev
  resources:
  - checkpointstores
  - checkpointtransfers
  - migrations
  - modelservers
  - trainingjobs
  verbs:
  - create
  - update
  - patch
  - delete
  - deletecollection
- apiGroups:
  - sojourn.dev
  resources:
  - modelservers/scale
  verbs:
  - get
  - update
  - patch
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints
  verbs:
  - update
  - patch
  - delete
  - deletecollection
{{- end }}

{{- define "sojourn.rules.uninstall" -}}
# the job that takes our finalizers off before the operator goes
- apiGroups:
  - sojourn.dev
  resources:
  - checkpoints
  - checkpointstores
  - checkpointtransfers
  - migrations
  - modelservers
  - trainingattempts
  - trainingjobs
  verbs:
  - get
  - list
  - patch
{{- end }}

{{- define "sojourn.rules.uninstall-cluster" -}}
# the same, on what belongs to the whole cluster
- apiGroups:
  - sojourn.dev
  resources:
  - remoteclusters
  verbs:
  - get
  - list
  - patch
{{- end }}

{{- define "sojourn.rules.uninstall-home" -}}
# the same, in the operator's namespace: it stops the operator first
- apiGroups:
  - apps
  resources:
  - deployments
  verbs:
  - patch
- apiGroups:
  - ''
  resources:
  - pods
  verbs:
  - list
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - delete
{{- end }}
