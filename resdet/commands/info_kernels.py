"""What ``resdet info`` says of the ways that products are computed on this machine."""

from __future__ import annotations


def kernels_text() -> str:
    """The ways that were measured on this machine with these libraries and threads, by what is computed."""
    from resdet.ops.kernels import default_kernels, machine_key, remembered_answers

    file = default_kernels().file
    answers = remembered_answers(file).get(machine_key(), {}) if file else {}
    head = f"fastest ways on {machine_key()}"
    if not answers:
        return f"{head}\n  none measured yet: preparing a detector on a CPU, or training one, does"
    lines = [
        f"  {way + ':':<10} {'; '.join(sorted(question for question, answer in answers.items() if answer == way))}"
        for way in sorted(set(answers.values()))
    ]
    return "\n".join([head, *lines, f"  remembered in {file}"])
