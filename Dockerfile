# Four images from one file: docker build --target operator|mover|trainer|serving .
# BASE_IMAGE must have Python 3.11 or later as python3, with the venv module.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# The tools that install. Later stages mount them, so no image contains them.
FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/build \
    && /opt/build/bin/python -m pip install --disable-pip-version-check --no-cache-dir --no-deps \
       --require-hashes -r requirements/build.txt \
    && /opt/build/bin/uv venv --python "$(command -v python3)" /opt/sojourn

# Sojourn itself is a small layer of its own, so that an edit does not move TensorFlow again.
FROM build AS sojourn
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY operator operator
COPY trainer trainer
COPY serving serving
RUN /opt/build/bin/hatchling build -t wheel -d /wheel \
    && /opt/build/bin/uv pip install --no-cache --python /opt/sojourn --prefix /layer/opt/sojourn --no-deps /wheel/*.whl \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /layer/opt/sojourn/lib

# Everything that is written goes below /tmp: mount an emptyDir there when the root file system is read-only.
FROM ${BASE_IMAGE} AS runtime
COPY --from=build /opt/sojourn /opt/sojourn
RUN echo 'sojourn:x:65532:65532:Sojourn:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'sojourn:x:65532:' >> /etc/group
ENV PATH=/opt/sojourn/bin:$PATH \
    HOME=/tmp TMPDIR=/tmp XDG_CACHE_HOME=/tmp/.cache \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.vendor="The Sojourn authors"
WORKDIR /tmp
ENTRYPOINT ["sojourn"]
CMD ["--help"]

# Bytecode is checked against no file time: layers may rewrite times, and a read-only root cannot be repaired later.
# The revision changes with every commit, so it comes after the large layers.
FROM runtime AS operator
COPY requirements/operator.txt /opt/sojourn/requirements.txt
RUN --mount=type=bind,from=build,source=/opt/build,target=/opt/build \
    /opt/build/bin/uv pip install --no-cache --python /opt/sojourn --no-deps --require-hashes \
      -r /opt/sojourn/requirements.txt \
    && python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash /opt/sojourn/lib
COPY --from=sojourn /layer /
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title=sojourn-operator \
      org.opencontainers.image.description="Sojourn's operator: no TensorFlow, no Ray" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 65532:65532

FROM runtime AS mover
COPY requirements/mover.txt /opt/sojourn/requirements.txt
RUN --mount=type=bind,from=build,source=/opt/build,target=/opt/build \
    /opt/build/bin/uv pip install --no-cache --python /opt/sojourn --no-deps --require-hashes \
      -r /opt/sojourn/requirements.txt \
    && python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash /opt/sojourn/lib
COPY --from=sojourn /layer /
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title=sojourn-mover \
      org.opencontainers.image.description="Sojourn's movers: they probe stores and carry runs between them" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 65532:65532

# What trainer and serving have in common is most of either: built, moved and unpacked once.
FROM runtime AS tensorflow
COPY requirements/tensorflow.txt /opt/sojourn/requirements.txt
RUN --mount=type=bind,from=build,source=/opt/build,target=/opt/build \
    /opt/build/bin/uv pip install --no-cache --python /opt/sojourn --no-deps --require-hashes \
      -r /opt/sojourn/requirements.txt \
    && python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash /opt/sojourn/lib

# Only files newer than the list are compiled: compiling the others again would repeat them in this layer.
FROM tensorflow AS trainer
COPY requirements/trainer.txt /opt/sojourn/requirements.txt
RUN --mount=type=bind,from=build,source=/opt/build,target=/opt/build \
    /opt/build/bin/uv pip install --no-cache --python /opt/sojourn --no-deps --require-hashes \
      -r /opt/sojourn/requirements.txt \
    && find /opt/sojourn/lib -name '*.py' -cnewer /opt/sojourn/requirements.txt \
       | python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash -i -
COPY --from=sojourn /layer /
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title=sojourn-trainer \
      org.opencontainers.image.description="Sojourn's trainer: TensorFlow for CPU, and Ray" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 65532:65532

FROM tensorflow AS serving
COPY requirements/serving.txt /opt/sojourn/requirements.txt
RUN --mount=type=bind,from=build,source=/opt/build,target=/opt/build \
    /opt/build/bin/uv pip install --no-cache --python /opt/sojourn --no-deps --require-hashes \
      -r /opt/sojourn/requirements.txt \
    && find /opt/sojourn/lib -name '*.py' -cnewer /opt/sojourn/requirements.txt \
       | python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash -i -
COPY --from=sojourn /layer /
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title=sojourn-serving \
      org.opencontainers.image.description="Sojourn's model server: TensorFlow for CPU, no Ray" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
USER 65532:65532
