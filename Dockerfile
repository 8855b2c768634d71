# Three images from one file: docker build --target operator|trainer|serving .
# BASE_IMAGE must have Python 3.11 or later as python3, with the venv module.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy \
    INSTALL="/opt/build/bin/uv pip install --python /opt/sojourn --no-deps" \
    COMPILE="python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash"
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/build \
    && /opt/build/bin/python -m pip install --disable-pip-version-check --no-cache-dir --no-deps \
       --require-hashes -r requirements/build.txt \
    && /opt/build/bin/uv venv --python "$(command -v python3)" /opt/sojourn

# Bytecode is checked against no file time: layers may rewrite times, and a read-only root cannot be repaired later.
FROM build AS operator-packages
COPY requirements/operator.txt requirements/
RUN $INSTALL --require-hashes -r requirements/operator.txt && $COMPILE /opt/sojourn/lib

FROM build AS trainer-packages
COPY requirements/trainer.txt requirements/
RUN $INSTALL --require-hashes -r requirements/trainer.txt && $COMPILE /opt/sojourn/lib

FROM build AS serving-packages
COPY requirements/serving.txt requirements/
RUN $INSTALL --require-hashes -r requirements/serving.txt && $COMPILE /opt/sojourn/lib

# Sojourn itself is a small layer of its own, so that an edit does not move TensorFlow again.
FROM build AS sojourn
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY operator operator
COPY trainer trainer
COPY serving serving
RUN /opt/build/bin/hatchling build -t wheel -d /wheel \
    && $INSTALL --prefix /layer/opt/sojourn /wheel/*.whl \
    && $COMPILE /layer/opt/sojourn/lib

# Everything that is written goes below /tmp: mount an emptyDir there when the root file system is read-only.
FROM ${BASE_IMAGE} AS runtime
RUN echo 'sojourn:x:65532:65532:Sojourn:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'sojourn:x:65532:' >> /etc/group
ENV PATH=/opt/sojourn/bin:$PATH \
    HOME=/tmp TMPDIR=/tmp XDG_CACHE_HOME=/tmp/.cache \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.vendor="The Sojourn authors" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["sojourn"]
CMD ["--help"]

FROM runtime AS operator
LABEL org.opencontainers.image.title=sojourn-operator \
      org.opencontainers.image.description="Sojourn's operator: no TensorFlow, no Ray"
COPY --from=operator-packages /opt/sojourn /opt/sojourn
COPY --from=sojourn /layer /

FROM runtime AS trainer
LABEL org.opencontainers.image.title=sojourn-trainer \
      org.opencontainers.image.description="Sojourn's trainer: TensorFlow for CPU, and Ray"
COPY --from=trainer-packages /opt/sojourn /opt/sojourn
COPY --from=sojourn /layer /

FROM runtime AS serving
LABEL org.opencontainers.image.title=sojourn-serving \
      org.opencontainers.image.description="Sojourn's model server: TensorFlow for CPU, no Ray"
COPY --from=serving-packages /opt/sojourn /opt/sojourn
COPY --from=sojourn /layer /
