"""Ray: a real cluster of two nodes, of which all but the first may die."""

import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

import results
import search_spaces
from evo import cluster, pool, search
from results import fan_out, front
from results import train as alone
from supernet import command, lock, train

ROOT = Path(__file__).parents[1]
QUICK = ("--epochs", "2", "--evaluations", "60", "--population", "20", "--threads", "1")
pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason=f"Ray is not installed: {cluster.MEND}")


@pytest.fixture(scope="module")
def nodes():
    """A head of one core."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**cluster.QUIET, **cluster.PRIVATE, "RAY_AUTH_TOKEN": "0" * 64}.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(ROOT))
        import ray
        from ray.cluster_utils import Cluster

        few = {"include_dashboard": False, "no_monitor": True, "include_log_monitor": False}
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **few})
        yield nodes
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def searched(nodes, module_script, finished_run, tmp_path_factory):
    """The folder of a search on the head and another node, and its pool, which outlives it."""
    nodes.add_node(num_cpus=1)
    folder, pools, send = tmp_path_factory.mktemp("runs"), [], pool.Pool.send
    shutil.copy(finished_run / "supernet.safetensors", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.Pool, "send", lambda self, *what: pools.append(self) or send(self, *what))
        outcome = module_script(search, "--run", folder, *QUICK, "--ray", nodes.address)
    assert outcome.code == 0, outcome.err
    return folder, pools[0]


@pytest.fixture(scope="module")
def judges(searched, digits):
    """The pool on both nodes, and the oracle on this processor."""
    folder, shared = searched
    config = train.Config()
    net = train.restore(config, search_spaces.load("digits"), digits.mean.device, folder / "supernet.safetensors")
    return shared, train.make_oracle(config, net, digits, 500)


@pytest.fixture
def encodings(rng):
    return search_spaces.load("digits").sample(rng, 70)


def everywhere(shared: pool.Pool) -> dict:
    """Every worker that is ready, and its process."""
    while len(shared.idle) < 2:
        list(shared._answers())
    return {w: shared.ray.get(w.__ray_call__.remote(lambda self: os.getpid())) for w in shared.idle}


def midway(shared: pool.Pool, happens, monkeypatch) -> None:
    """Lets `happens(worker)` happen to a worker as soon as both are at work."""
    answers, done = shared._answers, []

    def interrupted():
        at = [work.worker for work in shared.running.values() if work.board is not None]
        if len(at) == 2 and not done:
            done.append(happens(at[0]))
        yield from answers()

    monkeypatch.setattr(shared, "_answers", interrupted)


def test_who_leaves_waits_for_no_worker_of_a_full_cluster(nodes, monkeypatch):
    class Holder:
        pass

    ray, before = cluster.connect(nodes.address), set(threading.enumerate())
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    holder = ray.remote(num_cpus=1)(Holder).remote()
    ray.get(holder.__ray_ready__.remote())
    with pool.begin(cluster.AUTO, "cpu"):
        (waits,) = [thread for thread in set(threading.enumerate()) - before if not thread.daemon]
    waits.join(30)
    assert not waits.is_alive()
    ray.kill(holder)


def test_sigterm_is_answered_as_without_ray(nodes):
    code = """if True:
        import os, signal, sys
        from evo import cluster
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        cluster.connect(sys.argv[1])
        os.kill(os.getpid(), signal.SIGTERM)
    """
    command = [sys.executable, "-c", code, nodes.address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (143, "")


def test_trainings_on_a_cluster_end_with_the_local_weights(nodes, script, run_copy, tmp_path):
    here = shutil.copytree(run_copy, tmp_path / "here")
    flags = ("--pick", "A", "--seed", "0", "1", "--epochs", "1", "--threads", "1")
    alike, cards = script(alone, here, *flags), script(alone, run_copy, *flags, "--ray", nodes.address)
    assert cards.code == 0, cards.err
    assert cards.out == alike.out.replace(str(here), str(run_copy))
    for name in ("A", "A-seed1"):
        ours, theirs = (results.load(run, name).state_dict() for run in (run_copy, here))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert not list(run_copy.glob(".shared-*"))


def test_a_training_refuses_a_folder_that_is_not_shared(run_copy, tmp_path):
    config = alone.Config(run=str(run_copy))
    with pytest.raises(ValueError, match="must lie on a disk that the whole cluster shares"):
        fan_out._train(config, "job", alone.train_all, str(run_copy / ".shared-0"), str(tmp_path), cluster.versions())


def test_a_training_whose_machine_is_lost_goes_on_on_another(nodes, run_copy, tmp_path):
    def train(config):
        path, lost = tmp_path / "A.lock", tmp_path / "lost"
        with lock.hold(path):
            if not lost.exists():
                lost.touch()
                path.write_text(path.read_text().replace(socket.gethostname(), "elsewhere"))
                os._exit(1)
        return [{"test_accuracy": 1.0}]

    assert len(fan_out.run(nodes.address, train, [alone.Config(run=str(run_copy))], run_copy)) == 1
    assert (tmp_path / "lost").exists()


def test_a_search_on_a_cluster_ends_with_the_local_front(searched, finished_run):
    assert front.load(searched[0]) == front.load(finished_run)


def test_scores_are_the_local_oracles_bit_for_bit_and_in_order(judges, encodings):
    shared, local = judges
    both = np.concatenate([encodings, encodings[:5]])
    assert len(set(local.accuracy(both))) > 5
    assert (shared.accuracy(both) == local.accuracy(both)).all()
    assert shared.accuracy(encodings[:0]).shape == (0,)


def test_the_supernet_and_the_images_travel_once(judges, encodings, monkeypatch):
    shared, _ = judges
    everywhere(shared)
    monkeypatch.setattr(shared.ray, "put", None)
    monkeypatch.setattr(shared, "_ready", None)
    assert len(shared.accuracy(encodings)) == len(encodings)


def test_an_idle_worker_repeats_what_straggles(judges, encodings, monkeypatch):
    shared, local = judges
    processes = everywhere(shared)
    stopped = []
    midway(shared, lambda worker: stopped.append(os.kill(processes[worker], signal.SIGSTOP) or worker), monkeypatch)
    try:
        assert (shared.accuracy(encodings) == local.accuracy(encodings)).all()
        assert stopped[0] not in shared.idle  # its answer still is not there
    finally:
        os.kill(processes[stopped[0]], signal.SIGCONT)


def test_a_dead_process_is_replaced_and_its_piece_done_by_another(judges, encodings, monkeypatch):
    shared, local = judges
    before = everywhere(shared)
    midway(shared, lambda worker: os.kill(before[worker], signal.SIGKILL), monkeypatch)
    assert (shared.accuracy(encodings) == local.accuracy(encodings)).all()
    monkeypatch.undo()
    assert len(set(everywhere(shared).values()) - set(before.values())) == 1


def test_workers_with_other_versions_are_refused_with_both(judges, encodings):
    shared, local = judges
    worker = next(iter(everywhere(shared)))
    shared.idle.remove(worker)
    shared.running[worker.begin.remote(shared.versions | {"torch": "1.0"})] = pool.Work(worker, None)
    with pytest.raises(ValueError, match=rf"has torch {version('torch')} instead of 1\.0: install the same there"):
        shared.accuracy(np.repeat(encodings, 100, axis=0))
    shared.idle.append(worker)
    assert (shared.accuracy(encodings) == local.accuracy(encodings)).all()


def test_a_node_that_is_lost_takes_no_score_with_it(nodes, judges, encodings, monkeypatch):
    shared, local = judges
    everywhere(shared)
    node = next(iter(nodes.worker_nodes))
    midway(shared, lambda worker: nodes.remove_node(node, allow_graceful=False), monkeypatch)
    assert (shared.accuracy(encodings) == local.accuracy(encodings)).all()
    assert (shared.accuracy(encodings[::-1]) == local.accuracy(encodings[::-1])).all()


def test_code_that_differs_in_a_letter_has_another_version(tmp_path, monkeypatch):
    for room in cluster.ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room)
    own = cluster.versions()
    monkeypatch.setattr(cluster, "ROOT", tmp_path)
    cluster.same(own)
    with open(tmp_path / "evo" / "pool.py", "a") as file:
        file.write("#")
    with pytest.raises(ValueError, match=f"the code of FairFront .* instead of {own['the code of FairFront']}"):
        cluster.same(own)


@pytest.mark.parametrize("greeting", [None, b"HTTP/1.0 400 Bad Request\r\n"])
def test_an_address_where_no_ray_is_ends_in_one_line(script, tmp_path, greeting):
    """Nobody at all, or somebody else."""

    def answer():
        with other.accept()[0] as line:
            line.sendall(greeting)

    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        if greeting:
            other.listen()
            threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        outcome = script(search, "--run", tmp_path / "run", "--ray", address)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: no Ray answers at --ray {address}")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["here", "ray://head:10001", ":6379", "head:port"])
def test_an_address_that_is_none_is_refused(script, run_copy, address):
    outcome = script(alone, run_copy, "--ray", address)
    assert (outcome.code, outcome.err) == (2, f"error: --ray is auto or HOST:PORT, got {address!r}\n")


def test_without_ray_the_flag_says_what_to_install(script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    outcome = script(search, "--run", tmp_path / "run", "--ray", "auto")
    assert (outcome.code, outcome.err) == (2, 'error: --ray needs Ray: pip install -e ".[cluster]"\n')


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_kubernetes_templates_are_whole_and_of_one_version(kind):
    yaml = pytest.importorskip("yaml", reason="PyYAML, which comes with Ray, is not installed")
    content = yaml.safe_load((ROOT / "docs" / "cluster" / f"{kind.lower()}.yaml").read_text())
    assert (content["apiVersion"], content["kind"]) == ("ray.io/v1", kind)
    spec = content["spec"] if kind == "RayCluster" else content["spec"]["rayClusterSpec"]
    assert f"rayproject/ray:{spec['rayVersion']}-" in (ROOT / "docs" / "cluster" / "Dockerfile").read_text()
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {disk["name"] for disk in pod["volumes"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
    if kind == "RayJob":
        _, program, *flags = shlex.split(content["spec"]["entrypoint"].partition(" && ")[2])
        assert (ROOT / program).exists()
        assert command.parse(search.Config, flags, "").ray == "auto"
        (head,) = spec["headGroupSpec"]["template"]["spec"]["containers"]
        assert {"name": lock.JOB, "value": content["metadata"]["name"]} in head["env"]
