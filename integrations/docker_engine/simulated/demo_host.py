"""The demo's host: `granada`, a knowledge application, and `automation`, an n8n beside it."""

from __future__ import annotations

from typing import Any

from integrations.docker_engine.simulated.container_spec import ContainerSpec, HealthCheck
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from integrations.docker_engine.simulated.simulated_images import demo_image_contents

_DATABASE = {"DATABASE_URL": "postgres://granada:simulated@postgres:5432/granada"}
_GRANADA_ENV = {**_DATABASE, "REDIS_URL": "redis://redis:6379/0", "WEAVIATE_HOST": "weaviate"}


def _recipe(stack: str, service: str, image: str, **more: Any) -> ContainerSpec:
    return ContainerSpec(stack=stack, service=service, image=image, **{"restart": "unless-stopped", **more})


GRANADA = (
    _recipe(
        "granada",
        "postgres",
        "postgres:16.4",
        command="postgres",
        memory_mb=1024,
        usual_mb=310,
        usual_cpu_pct=4.0,
        health=HealthCheck(command="pg_isready -U granada", good="accepting connections", bad="no response"),
        volumes={"granada_postgres_data": "/var/lib/postgresql/data"},
        greeting=("LOG:  database system is ready to accept connections",),
        chatter=("LOG:  checkpoint starting: time", "LOG:  checkpoint complete: wrote 84 buffers (0.5%)"),
        chatter_s=31.0,
    ),
    _recipe(
        "granada",
        "redis",
        "redis:7.4",
        command="redis-server *:6379",
        memory_mb=256,
        usual_mb=38,
        usual_cpu_pct=1.5,
        health=HealthCheck(command="redis-cli ping", good="PONG", bad="Could not connect to Redis"),
        greeting=("* Ready to accept connections tcp",),
        chatter=("* 100 changes in 300 seconds. Saving...", "* Background saving terminated with success"),
        chatter_s=43.0,
    ),
    _recipe(
        "granada",
        "weaviate",
        "semitechnologies/weaviate:1.27.2",
        command="/bin/weaviate --host 0.0.0.0 --port 8080 --scheme http",
        memory_mb=4096,
        usual_mb=1900,
        usual_cpu_pct=22.0,
        health=HealthCheck(command="wget -q --spider http://localhost:8080/v1/.well-known/ready"),
        volumes={"granada_weaviate_data": "/var/lib/weaviate"},
        greeting=('{"level":"info","msg":"Serving weaviate at http://[::]:8080"}',),
        chatter=('{"action":"lsm_compaction","level":"info","msg":"compacted segments"}',),
        chatter_s=19.0,
    ),
    _recipe(
        "granada",
        "api",
        "granada/api:2.4.1",
        command="gunicorn app.main:app -w 4 -k uvicorn.workers.UvicornWorker",
        restart="no",
        memory_mb=2048,
        usual_mb=760,
        usual_cpu_pct=18.0,
        depends_on=("postgres:service_healthy", "redis", "weaviate:service_healthy"),
        env=_GRANADA_ENV,
        ports={"8000/tcp": "8000"},
        health=HealthCheck(),
        greeting=("[INFO] Listening at: http://0.0.0.0:8000 (1)", "[INFO] Booting worker with pid: 7"),
        chatter=(
            'INFO: 172.20.0.7:41122 - "POST /v1/search HTTP/1.1" 200 OK',
            'INFO: 172.20.0.7:41180 - "GET /v1/documents?page=2 HTTP/1.1" 200 OK',
            'INFO: 172.20.0.9:50310 - "POST /v1/ingest HTTP/1.1" 202 Accepted',
        ),
        chatter_s=3.0,
    ),
    _recipe(
        "granada",
        "celery",
        "granada/api:2.4.1",
        command="celery -A app.tasks worker --concurrency 4",
        memory_mb=1536,
        usual_mb=420,
        usual_cpu_pct=9.0,
        depends_on=("redis", "api"),
        env=_GRANADA_ENV,
        health=HealthCheck(command="celery -A app.tasks inspect ping", good="pong", bad="Error: No nodes replied"),
        greeting=("celery@worker1 ready.",),
        chatter=("Task app.tasks.embed[41f0] succeeded in 1.84s: 64", "Task app.tasks.ingest[9c22] received"),
        chatter_s=5.0,
    ),
    _recipe(
        "granada",
        "frontend",
        "granada/frontend:2.4.0",
        command="node server.js",
        memory_mb=512,
        usual_mb=140,
        usual_cpu_pct=3.0,
        depends_on=("api:service_healthy",),
        env={"API_URL": "http://api:8000"},
        ports={"3000/tcp": "3000"},
        health=HealthCheck(command="wget -q --spider http://localhost:3000/"),
        greeting=("ready - started server on 0.0.0.0:3000",),
        chatter=("GET / 200 in 14ms", "GET /search?q=invoices 200 in 118ms"),
        chatter_s=6.0,
    ),
)

AUTOMATION = (
    _recipe(
        "automation",
        "postgres",
        "postgres:15.8",
        command="postgres",
        memory_mb=512,
        usual_mb=120,
        health=HealthCheck(command="pg_isready", good="accepting connections", bad="no response"),
        greeting=("LOG:  database system is ready to accept connections",),
        volumes={"automation_postgres_data": "/var/lib/postgresql/data"},
    ),
    _recipe(
        "automation",
        "n8n",
        "n8nio/n8n:1.64.0",
        command="node /usr/local/bin/n8n start",
        memory_mb=1024,
        usual_mb=330,
        usual_cpu_pct=6.0,
        depends_on=("postgres:service_healthy",),
        env={"DB_POSTGRESDB_HOST": "postgres"},
        ports={"5678/tcp": "5678"},
        health=HealthCheck(command="wget -q --spider http://localhost:5678/healthz"),
        volumes={"automation_n8n_data": "/home/node/.n8n"},
        greeting=("n8n ready on 0.0.0.0, port 5678",),
        chatter=('Workflow "Sync CRM" finished in 2.1 s', 'Workflow "Daily report" started'),
        chatter_s=13.0,
    ),
)


def demo_engine(name: str = "simulated") -> SimulatedEngine:
    """Return the demo's host, healthy and running for three days."""
    return SimulatedEngine(name, (*GRANADA, *AUTOMATION), stored=demo_image_contents())
