"""Figures: one look, whatever else has been imported or configured."""

import matplotlib

from kadanoff.project.figures import figure


def drawn(path):
    with figure(figsize=(2, 2)) as (page, axis):
        axis.set_title(r"$x^2$")
        page.savefig(path, metadata={"Software": None})
    return path.read_bytes()


def test_the_look_does_not_depend_on_what_a_library_has_set(tmp_path):
    plain = drawn(tmp_path / "plain.png")
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "axes.grid": True}):
        assert drawn(tmp_path / "other.png") == plain
        with matplotlib.rc_context():
            assert matplotlib.rcParams["axes.grid"]  # and gives it back
