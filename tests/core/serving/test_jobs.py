"""Jobs between the steps of a search."""

from concurrent.futures import Future

import torch

from core.serving.scheduler import JobQueue


def test_a_job_in_the_middle_of_a_search_can_train():
    jobs, future = JobQueue(), Future()
    jobs.waiting.append((future, torch.is_grad_enabled, ()))
    with torch.no_grad():
        jobs.step()
        assert future.result() and not torch.is_grad_enabled()
