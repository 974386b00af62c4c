# One image for everything: the worker, the pages and every command.
# docker build -t aftersale .   Then: docs/how-to/run-in-production.md

FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/aftersale
COPY requirements/core.txt requirements/
RUN /opt/aftersale/bin/pip install --no-cache-dir --require-hashes -r requirements/core.txt
COPY pyproject.toml LICENSE ./
COPY src src
# The build backend is pinned in core.txt, so nothing is fetched to build the package.
RUN /opt/aftersale/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
COPY --from=build /opt/aftersale /opt/aftersale
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin aftersale \
    && install --directory --owner=aftersale --group=aftersale --mode=0750 /data
ENV PATH=/opt/aftersale/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AFTERSALE_HOME=/data \
    AFTERSALE_HOST=0.0.0.0 \
    AFTERSALE_METRICS_HOST=0.0.0.0 \
    AFTERSALE_METRICS_PORT=8766 \
    AFTERSALE_LOG=json
USER aftersale
WORKDIR /data
VOLUME /data
EXPOSE 8765 8766
STOPSIGNAL SIGTERM
# Of a worker. The pages answer the same on 8765, see compose.yaml.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8766/healthz', timeout=4)"]
ENTRYPOINT ["aftersale"]
CMD ["worker"]
