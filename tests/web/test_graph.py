"""Does every journey come out as boxes that do not overlap and wires that meet them?"""

import re
from itertools import combinations

import pytest

from aftersale.adapters.folder import starter_files
from aftersale.journeys.definition import END, Branch, Exit, Journey, Send, Start, Wait
from aftersale.programme.load import compile_programme
from aftersale.web.graph import HEIGHT, WIDTH, draw_journey

PROGRAMME = compile_programme(starter_files(), version=1).programme


def nested(depth: int) -> Journey:
    """A branch in a branch in a branch, one way of each empty or leaving."""
    steps: list[Wait | Send | Branch | Exit] = [
        Branch(f"b{level}", END, ((None, level + 1),)) for level in range(depth)
    ]
    steps.append(Send("last", END, "hello"))
    steps[0] = Branch("b0", depth + 1, ((None, 1), (None, depth + 2), (None, depth + 1)))
    steps += [Wait("after", END), Exit("out", depth + 1)]
    return Journey(f"nested-{depth}", 1, "order", Start(), tuple(steps))


JOURNEYS = [*PROGRAMME.journeys.values(), nested(1), nested(4)]


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
def test_boxes_stand_apart_and_inside(journey):
    drawn = draw_journey(journey)
    shown = [box.id for box in drawn.boxes if box.id[0] != "("]
    assert sorted(shown) == sorted(step.id for step in journey.steps)
    for one, other in combinations(drawn.boxes, 2):
        assert abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT, (one, other)
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width - WIDTH
        assert 0 <= box.y <= drawn.height - HEIGHT


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
def test_wires_lead_from_the_foot_of_a_box_to_the_head_of_another(journey):
    drawn = draw_journey(journey)
    heads = {(box.x + WIDTH / 2, box.y) for box in drawn.boxes}
    feet = {(box.x + WIDTH / 2, box.y + HEIGHT) for box in drawn.boxes}
    reached = set()
    for wire in drawn.wires:
        numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", wire)]
        assert (numbers[0], numbers[1]) in feet
        assert (numbers[-2], numbers[-1]) in heads
        reached.add((numbers[-2], numbers[-1]))
    assert len(reached) == len(drawn.boxes) - 1
