"""Which drawn loops count as distal: the cone before the tip, and what can be seen at all."""

from locating.distal import DISTAL, IGNORED, PROXIMAL, kinds, visible_density

SHARP = {"defocus_um": [1.0, 1.0], "motion_um": 0.0, "haze": 0.0}


def loop(x, y, row=0, density=0.3, width=12.0, softness=0.0):
    """With its tip up; one pixel is one um."""
    return {"x": x, "y": y, "toward": [0.0, -1.0], "apical_um": width, "row": row, "density": density, "softness_um": softness}


def test_a_loop_behind_another_is_proximal_and_one_beside_it_is_not():
    front = loop(0.0, 0.0)
    assert list(kinds([front, loop(20.0, 200.0, row=1)], 1.0, SHARP)) == [DISTAL, PROXIMAL]
    # 200 um behind the cone is 106 um wide to either side.
    assert list(kinds([front, loop(120.0, 200.0, row=1)], 1.0, SHARP)) == [DISTAL, DISTAL]
    assert list(kinds([front, loop(5.0, 8.0)], 1.0, SHARP)) == [DISTAL, DISTAL], "beside, not before"


def test_rows_far_behind_never_count_and_faint_loops_are_left_open():
    assert list(kinds([loop(0.0, 0.0), loop(300.0, 600.0, row=3)], 1.0, SHARP)) == [DISTAL, IGNORED]
    assert list(kinds([loop(0.0, 0.0), loop(300.0, 0.0, density=0.03)], 1.0, SHARP)) == [DISTAL, IGNORED]


def test_a_faint_loop_hides_nobody():
    rows = [loop(0.0, 0.0, density=0.05), loop(0.0, 150.0, row=1), loop(300.0, 0.0), loop(500.0, 0.0)]
    assert list(kinds(rows, 1.0, SHARP))[1] == DISTAL


def test_blur_and_haze_take_from_slender_loops_first():
    soft = SHARP | {"defocus_um": [8.0, 8.0]}
    slender, wide = visible_density([loop(0, 0, width=10.0), loop(0, 0, width=60.0)], soft)
    assert slender < 0.12 and wide > 0.25
    assert visible_density([loop(0, 0)], SHARP | {"haze": 0.3})[0] < visible_density([loop(0, 0)], SHARP)[0]
