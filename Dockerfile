# The serving image: no compiler, no pip cache, no torch, no secret, not root.
#   docker build -t lighttrap .
#   docker build -t lighttrap:gpu --build-arg BASE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 .
# Any Debian or Ubuntu base with Python 3.11 or newer (in the image or among its packages) will do.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN if ! command -v python3 >/dev/null; then \
      apt-get update \
      && apt-get install -y --no-install-recommends python3 python3-venv \
      && rm -rf /var/lib/apt/lists/*; \
    fi

FROM base AS packages
# EXTRAS=[gpu] adds NVIDIA's libraries as Python packages, for a base that does not carry them.
ARG EXTRAS=
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --constraint constraints.txt pip
RUN /opt/venv/bin/python -m pip install --no-cache-dir --constraint constraints.txt \
      --build-constraint constraints.txt --only-deps ".${EXTRAS}"

FROM base AS serve
RUN groupadd --gid 10001 lighttrap \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin lighttrap \
    && install -d -o lighttrap -g lighttrap /var/lib/lighttrap
WORKDIR /opt/lighttrap
COPY --from=packages /opt/venv /opt/venv
COPY pyproject.toml ./
COPY models/ models/
# Versions are added to it, so its volume begins with this owner.
RUN chown lighttrap:lighttrap models/store models/store/*
COPY migrations/ migrations/
COPY templates/ templates/
COPY app/ app/
# Bytecode is made once, here: the running container writes nothing beside its volume.
RUN /opt/venv/bin/python -m compileall -q app models migrations
ENV PATH=/opt/venv/bin:$PATH \
    LIGHTTRAP_HOST=0.0.0.0 \
    LIGHTTRAP_PORT=8000 \
    LIGHTTRAP_DATA_DIR=/var/lib/lighttrap
USER 10001
VOLUME /var/lib/lighttrap
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['LIGHTTRAP_PORT'] + '/readyz', timeout=3)"]
CMD ["python", "-m", "app", "serve"]
