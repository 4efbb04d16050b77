# Any image with Python 3.11 or newer, pip and venv will do: --build-arg BASE_IMAGE=…
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS packages
# More arguments for pip, for example "--no-index --find-links wheels" where no package index can be reached.
ARG PIP_ARGUMENTS=""
WORKDIR /build
COPY requirements.lock wheels* ./wheels/
RUN mv wheels/requirements.lock . \
    && python3 -m venv /opt/infraguardian \
    && /opt/infraguardian/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes ${PIP_ARGUMENTS} -r requirements.lock \
    && { /opt/infraguardian/bin/python -m compileall -qq -j 0 /opt/infraguardian/lib || :; }

FROM ${BASE_IMAGE}
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin guardian \
    && install -d -o guardian -g guardian -m 0700 /data
COPY --from=packages /opt/infraguardian /opt/infraguardian
WORKDIR /app
COPY cli.py infraguardian.py ./
COPY core core
COPY integrations integrations
COPY knowledge knowledge
COPY agent agent
COPY bot bot
COPY playground playground
COPY web web
COPY runbooks runbooks
RUN /opt/infraguardian/bin/python -m compileall -q /app
RUN printf '#!/bin/sh\nexec /opt/infraguardian/bin/python -m cli "$@"\n' > /usr/local/bin/infraguardian \
    && chmod 0755 /usr/local/bin/infraguardian
ENV PATH=/opt/infraguardian/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    INFRAGUARDIAN_DATA_DIR=/data \
    INFRAGUARDIAN_WEB__HOST=0.0.0.0
USER guardian
WORKDIR /data
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/healthz', timeout=4)"]
ENTRYPOINT ["infraguardian"]
CMD ["serve"]
