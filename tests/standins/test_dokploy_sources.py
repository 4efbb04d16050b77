"""Git sources, registries, domains, stacks, applications and databases of the stand-in for Dokploy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import docker

from tests.standins.conftest import FileOf
from tests.standins.dokploy import DokployStandin
from tests.standins.dokploy.caller import Caller
from tests.standins.test_dokploy_deploying import deployed, states
from tests.testbed.registry import Registry
from tests.testbed.world import eventually

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


class Repository:
    """A git repository on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir()
        self._git("init", "-q", "-b", "main")

    def commit(self, compose_file: str, message: str, tag: str | None = None) -> str:
        """Commit the file; the commit's hash."""
        (self.folder / "docker-compose.yml").write_text(compose_file)
        self._git("add", "docker-compose.yml")
        self._git(*AUTHOR, "commit", "-q", "-m", message)
        if tag:
            self._git("tag", tag)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=30
        ).stdout


async def test_git_names_a_deployment_after_its_commit_and_knows_tags_but_no_hashes(
    dokploy: DokployStandin, caller: Caller, file_of: FileOf, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "shop.git")
    first = repository.commit(file_of(app="web.py"), "feat: first version", tag="v1")
    second = repository.commit(file_of(app="web.py", worker="client.py"), "feat: second version")
    stack = dokploy.add_compose(dokploy.add_project(), "shop", git_url=repository.url)

    await deployed(caller, stack, title="chatops 42")
    named = {"title": "feat: second version", "description": f"Commit: {second}"}
    await eventually(lambda: named.items() <= dokploy.deployments(stack)[0].items())
    assert await states(caller, stack) == {"app": "running", "worker": "running"}

    await caller.post("compose.update", composeId=stack.id, customGitBranch="v1")
    await deployed(caller, stack)
    await eventually(lambda: dokploy.deployments(stack)[0]["description"] == f"Commit: {first}")
    assert await states(caller, stack) == {"app": "running"}

    await caller.post("compose.update", composeId=stack.id, customGitBranch=first)
    row = await deployed(caller, stack, title="to a hash")
    assert (row["status"], row["title"]) == ("error", "to a hash")
    assert f"fatal: Remote branch {first} not found" in await caller.log(row["deploymentId"])
    assert (await caller.get("compose.loadServices", composeId=stack.id)).status == 404
    start = await caller.post("compose.start", composeId=stack.id)
    assert (start.status, stack.status) == (500, "idle")
    assert (await deployed(caller, stack, "compose.redeploy"))["status"] == "error"
    assert await states(caller, stack) == {"app": "running"}


async def test_images_come_from_the_registry(
    dokploy: DokployStandin,
    caller: Caller,
    registry: Registry,
    docker_client: docker.DockerClient,
    testbed_image: str,
) -> None:
    image = registry.push(docker_client, testbed_image, "shop/web", "v1")
    docker_client.images.remove(image)
    assert registry.tags("shop/web") == ["v1"]
    stack = dokploy.add_compose(
        dokploy.add_project(),
        "pulled",
        compose_file=f"services: {{web: {{image: '{image}', stop_grace_period: 1s}}}}\n",
    )
    row = await deployed(caller, stack)
    assert row["status"] == "done", await caller.log(row["deploymentId"])
    held = docker_client.images.get(image)
    assert f"{registry.host}/shop/web@{registry.digest('shop/web', 'v1')}" in held.attrs["RepoDigests"]
    unknown = f"services: {{web: {{image: '{registry.host}/shop/web:v9'}}}}\n"
    await caller.post("compose.update", composeId=stack.id, composeFile=unknown)
    row = await deployed(caller, stack)
    assert "manifest unknown" in await caller.log(row["deploymentId"])


async def test_a_domain_puts_labels_and_the_network_of_the_proxy_on_its_service(
    dokploy: DokployStandin, caller: Caller, file_of: FileOf, docker_client: docker.DockerClient
) -> None:
    stack = dokploy.add_compose(dokploy.add_project(), "shop", compose_file=file_of(web="web.py", worker="client.py"))
    domain = dokploy.add_domain(
        stack, "shop.example.org", service_name="web", https=True, certificateType="letsencrypt"
    )
    await deployed(caller, stack)
    web = docker_client.containers.get(stack.container("web"))
    router = f"traefik.http.routers.{stack.app_name}-{domain['uniqueConfigKey']}-websecure"
    assert web.labels[f"{router}.rule"] == "Host(`shop.example.org`)"
    assert web.labels[f"{router}.tls.certresolver"] == "letsencrypt"
    assert web.labels["traefik.docker.network"] == "dokploy-network"
    assert set(web.attrs["NetworkSettings"]["Networks"]) == {"dokploy-network", f"{stack.app_name}_default"}
    worker = docker_client.containers.get(stack.container("worker"))
    assert set(worker.attrs["NetworkSettings"]["Networks"]) == {f"{stack.app_name}_default"}

    dokploy.add_domain(stack, "no.example.org", service_name="nobody")
    row = await deployed(caller, stack)
    assert "The service nobody not found in the compose" in await caller.log(row["deploymentId"])


async def test_a_stack_is_removed_by_stop_and_only_deploy_brings_it_back(
    dokploy: DokployStandin, caller: Caller, testbed_image: str
) -> None:
    text = f"services: {{api: {{image: '{testbed_image}', deploy: {{replicas: 2}}}}}}\n"
    stack = dokploy.add_compose(dokploy.add_project(), "swarm", compose_file=text, compose_type="stack")

    async def names() -> list[str]:
        listed = await caller.get("docker.getContainersByAppNameMatch", appName=stack.app_name, appType="stack")
        return [row["name"].rpartition(".")[0] for row in listed.body]

    row = await deployed(caller, stack)
    assert f"Creating service {stack.app_name}_api\nDocker Compose Deployed: ✅\n" in await caller.log(
        row["deploymentId"]
    )
    assert await names() == [f"{stack.app_name}_api.1", f"{stack.app_name}_api.2"]
    assert (await caller.post("compose.stop", composeId=stack.id)).body is True
    assert (await caller.post("compose.start", composeId=stack.id)).body is True
    assert (stack.status, await names()) == ("done", [])
    await deployed(caller, stack)
    assert len(await names()) == 2


async def test_an_isolated_compose_has_a_network_of_its_name(
    dokploy: DokployStandin, caller: Caller, file_of: FileOf, docker_client: docker.DockerClient
) -> None:
    stack = dokploy.add_compose(
        dokploy.add_project(), "alone", compose_file=file_of(web="web.py"), isolatedDeployment=True
    )
    await deployed(caller, stack)
    web = docker_client.containers.get(stack.container("web"))
    assert set(web.attrs["NetworkSettings"]["Networks"]) == {stack.app_name}


async def test_an_application_is_rolled_back_to_a_kept_image(
    dokploy: DokployStandin, caller: Caller, testbed_image: str, docker_client: docker.DockerClient
) -> None:
    app = dokploy.add_application(
        dokploy.add_project(), "api", image=testbed_image, rollbackActive=True, rollbackRegistryId="r"
    )
    for _ in range(2):
        assert (await caller.post("application.deploy", applicationId=app.id)).text == ""
    await eventually(lambda: [row["status"] for row in dokploy.deployments(app)] == ["done", "done"])
    listed = (await caller.get("deployment.allByType", id=app.id, type="application")).body
    assert [row["rollback"]["version"] for row in listed] == [2, 1]
    older = listed[1]["rollback"]
    assert (await caller.post("rollback.rollback", rollbackId=older["rollbackId"])).status == 200
    (task,) = docker_client.containers.list(filters={"label": f"com.docker.swarm.service.name={app.app_name}"})
    assert task.attrs["Config"]["Image"] == older["image"] == f"{app.app_name}:v1"
    assert len(dokploy.deployments(app)) == 2


async def test_a_database_is_started_stopped_and_reloaded(
    dokploy: DokployStandin, caller: Caller, testbed_image: str
) -> None:
    database = dokploy.add_database(dokploy.add_project(), "orders", image=testbed_image)

    async def running() -> int:
        listed = await caller.get("docker.getServiceContainersByAppName", appName=database.app_name)
        return len(listed.body)

    before = (await caller.post("postgres.deploy", postgresId=database.id)).body
    assert (before["applicationStatus"], database.status, await running()) == ("idle", "done", 1)
    assert (await caller.post("postgres.stop", postgresId=database.id)).body["applicationStatus"] == "done"
    assert (database.status, await running()) == ("idle", 0)
    refused = await caller.post("postgres.reload", postgresId=database.id)
    assert refused.body["issues"][0]["path"] == ["appName"]
    assert (await caller.post("postgres.reload", postgresId=database.id, appName=database.app_name)).body is True
    assert await running() == 1
