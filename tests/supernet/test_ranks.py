import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from results import train as stand_alone_train
from results import trained
from supernet import checkpoint, ranks, train
from supernet.sync import SyncBatchNorm2d

ROOT, WORKER = Path(__file__).parents[2], Path(__file__).with_name("two_ranks.py")
TINY = ("--epochs", "3", "--train-images", "128", "--batch-size", "32", "--threads", "1")


def torchrun(*arguments, hosts=("--nproc-per-node", "2", "--standalone")):
    """The command's process: two ranks on this machine, one thread each, in a group of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", *hosts, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def gradients(team):
    return runpy.run_path(str(WORKER))["gradients"](team)


@pytest.fixture(scope="module")
def stepped(tmp_path_factory):
    """What the worker leaves."""
    folder = tmp_path_factory.mktemp("stepped")
    process = torchrun("--", str(WORKER), str(folder))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()
    return folder


def test_two_processes_leave_the_gradients_of_one_that_takes_the_batch_in_two_parts(stepped):
    alone, found = gradients(ranks.Team(parts=2)), load_file(stepped / "share.safetensors")
    assert all(found[name] == pytest.approx(gradient, rel=1e-12) for name, gradient in alone.items())


def test_with_synchronised_batch_norm_two_processes_leave_the_gradients_of_one(stepped):
    alone, found = gradients(ranks.Team()), load_file(stepped / "synced.safetensors")
    for name, gradient in alone.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-9)


def test_a_fair_step_of_all_its_paths_takes_one_all_reduce(stepped):
    assert (stepped / "count").read_text() == "1"


def test_a_folder_that_is_not_shared_is_refused_where_it_is_not(stepped):
    assert not (stepped / "refused0").exists()
    assert "must be in a folder that all hosts share" in (stepped / "refused1").read_text()
    assert not list(stepped.rglob(".shared"))


def test_all_processes_take_what_the_first_has_and_the_least_of_their_numbers(stepped):
    assert [(stepped / f"agreed{rank}").read_text() for rank in (0, 1)] == ["[True, False] 5"] * 2


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_process_is_started_again_and_the_weights_are_those_of_an_uninterrupted_training(script, tmp_path):
    """Of two hosts, of which one sees its process die and the other its neighbour begin again."""
    assert script(train, "--run", tmp_path / "whole", *TINY, "--parts", "2").code == 0
    killed, last = tmp_path / "killed", tmp_path / "killed" / train.WEIGHTS
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meeting = f"localhost:{free.getsockname()[1]}"
    one = ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", meeting)
    arguments = ("--rdzv-id", "1", "--max-restarts", "3", "--", "supernet/train.py", "--run", str(killed), *TINY)
    hosts = [torchrun(*arguments, hosts=one) for _ in range(2)]
    while all(host.poll() is None for host in hosts) and not last.exists():
        time.sleep(0.02)
    os.kill(children(hosts[1].pid)[0], signal.SIGKILL)
    try:
        output = "".join(host.communicate(timeout=200)[0].decode() for host in hosts)
    finally:
        for host in hosts:
            host.terminate()
    assert [host.returncode for host in hosts] == [0, 0], output
    assert output.count("written to") == 1
    whole, resumed = (checkpoint.load(folder / train.WEIGHTS, "supernet") for folder in (tmp_path / "whole", killed))
    parameters = [name for name in whole[0] if "running" not in name and "tracked" not in name]
    assert all(torch.equal(whole[0][name], resumed[0][name]) for name in parameters)
    assert [row["epoch"] for row in resumed[1]["history"]] == [1, 2, 3]


def test_a_start_has_a_name_that_none_before_it_had():
    """In a store that remembers who asked before, some before the first process is there and some after."""
    store, found = torch.distributed.HashStore(), []
    for _ in range(3):
        with ThreadPoolExecutor(3) as threads:
            found.append(list(threads.map(lambda rank: ranks._start(store, rank, 3), (2, 0, 1))))
    assert all(len(set(start)) == 1 for start in found)
    assert len({start[0] for start in found}) == 3


def test_a_training_with_synchronised_batch_norm_ends_and_the_same_command_goes_on(script, tmp_path):
    arguments = ("--run", str(tmp_path / "run"), *TINY, "--sync-batch-norm")
    process = torchrun("--", "supernet/train.py", *arguments)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output.decode()
    assert script(train, *arguments).code == 0  # on one process, where it is BatchNorm


def test_two_processes_train_a_pick_as_one_does_in_two_parts(script, run_copy):
    arguments = ("--pick", "A", "--epochs", "2", "--batch-size", "32", "--train-images", "128", "--threads", "1")
    assert script(stand_alone_train, run_copy, *arguments, "--parts", "2", "--name", "alone").code == 0
    process = torchrun("--", "results/train.py", str(run_copy), *arguments, "--name", "together")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output.decode()
    assert output.decode().count("stand-alone, test") == 1
    alone, together = (load_file(trained.files(run_copy, name).last) for name in ("alone", "together"))
    parameters = [name for name in alone if "running" not in name and "tracked" not in name]
    assert all(torch.equal(alone[name], together[name]) for name in parameters)


@pytest.fixture
def variables(monkeypatch):
    for name in ranks.VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def put(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


WHOLE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "half set: LOCAL_RANK, MASTER_ADDR, MASTER_PORT missing"),
        ({**WHOLE, "RANK": "first"}, "RANK is 'first', not a number"),
        ({**WHOLE, "MASTER_PORT": "x"}, "MASTER_PORT is 'x', not a number"),
        ({**WHOLE, "RANK": "1"}, "RANK is 1, of WORLD_SIZE 1 from 0"),
    ],
)
def test_torchruns_variables_must_be_whole(script, tmp_path, variables, values, message):
    variables(**values)
    outcome = script(train, "--run", tmp_path / "run", *TINY)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_port_that_another_program_has_ends_in_one_line(script, tmp_path, variables):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        variables(**{**WHOLE, "MASTER_PORT": str(taken.getsockname()[1])})
        outcome = script(train, "--run", tmp_path / "run", *TINY)
    assert outcome.code == 2
    assert outcome.err.startswith("error: process 0 cannot reach the others: ")


def test_a_host_with_fewer_gpus_than_processes_is_refused(variables, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    variables(**{**WHOLE, "LOCAL_RANK": "1"})
    with (
        pytest.raises(ValueError, match="has no GPU of its own, there are 1: use torchrun --nproc-per-node 1"),
        ranks.team(1, torch.device("cuda")),
    ):
        pass


def test_a_gpu_by_number_is_refused_where_every_process_takes_its_own(variables):
    variables(**WHOLE)
    with pytest.raises(ValueError, match="--device cuda in place of cuda:1"), ranks.team(1, torch.device("cuda:1")):
        pass


def test_what_the_first_process_cannot_read_ends_every_other_in_one_line(tmp_path):
    arguments = ("--run", str(tmp_path / "run"), "--data", "folder", "--data-root", str(tmp_path / "none"))
    output, _ = torchrun("--", "supernet/train.py", *arguments).communicate(timeout=120)
    own = [line for line in output.decode().splitlines() if line.startswith("error: ")]
    assert [line for line in own if "is no folder" in line]
    assert 'File "' not in output.decode().partition("is no folder")[0]
    assert "supernet/ranks.py" not in output.decode()


@pytest.mark.parametrize("size", [30, 4])
def test_a_batch_that_cannot_be_split_evenly_is_refused(size):
    with pytest.raises(ValueError, match="use a --batch-size that is a multiple of 4"):
        ranks.Team(0, 2, 2).share(torch.zeros(size))


def test_the_shares_of_all_processes_are_the_batch(rng):
    batch = torch.from_numpy(rng.random((24, 3)))
    assert torch.equal(torch.cat([ranks.Team(rank, 3).share(batch) for rank in range(3)]), batch)


def test_synchronised_batch_norm_of_one_process_is_batch_norm(monkeypatch, rng):
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 1)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: None)
    x = torch.from_numpy(rng.standard_normal((6, 4, 3, 3)))
    plain, synced = torch.nn.BatchNorm2d(4).double(), SyncBatchNorm2d(4).double()
    torch.testing.assert_close(synced(x), plain(x))
    torch.testing.assert_close(dict(synced.named_buffers()), dict(plain.named_buffers()))
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))
