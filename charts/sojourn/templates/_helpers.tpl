{{- define "sojourn.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "sojourn.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "sojourn.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "sojourn.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Names of cluster-wide objects, so that several releases in namespaced mode do not share them. */}}
{{- define "sojourn.clusterName" -}}
{{- if eq (include "sojourn.fullname" .) .Release.Namespace }}
{{- .Release.Namespace }}
{{- else }}
{{- printf "%s-%s" .Release.Namespace (include "sojourn.fullname" .) }}
{{- end }}
{{- end }}

{{- /* The namespaces that the operator acts in, with commas between; nothing where it acts in all. */}}
{{- define "sojourn.namespaces" -}}
{{- if and .Values.watchNamespace .Values.watchNamespaces }}
{{- fail "set watchNamespace or watchNamespaces, not both" }}
{{- end }}
{{- .Values.watchNamespace | default (join "," .Values.watchNamespaces) }}
{{- end }}

{{- define "sojourn.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sojourn.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "sojourn.labels" -}}
app.kubernetes.io/name: {{ include "sojourn.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sojourn
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sojourn.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sojourn.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The image of a role, with the registry before it and the tag behind it where it names none. */}}
{{- define "sojourn.image" -}}
{{- $images := .context.Values.images }}
{{- $image := index $images .role }}
{{- if not (or (contains "@" $image) (contains ":" (splitList "/" $image | last))) }}
{{- $image = printf "%s:%s" $image (default .context.Chart.AppVersion $images.tag) }}
{{- end }}
{{- with $images.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image }}
{{- end }}

{{- define "sojourn.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* What "restricted" of the Pod Security Standards asks for. */}}
{{- define "sojourn.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "sojourn.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* A Role and its binding: name, namespace, rules (names of definitions), account, accountNamespace, labels. */}}
{{- define "sojourn.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "sojourn.labels" .context | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
rules:
{{- range .rules }}
{{ include . $.context }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "sojourn.labels" .context | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .name }}}
subjects: [{kind: ServiceAccount, name: {{ .account }}, namespace: {{ .context.Release.Namespace }}}]
{{- end }}

{{- /* The same for the whole cluster. */}}
{{- define "sojourn.clusterRole" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .name }}
  labels: {{- include "sojourn.labels" .context | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
rules:
{{- range .rules }}
{{ include . $.context }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels: {{- include "sojourn.labels" .context | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .name }}}
subjects: [{kind: ServiceAccount, name: {{ .account }}, namespace: {{ .context.Release.Namespace }}}]
{{- end }}
