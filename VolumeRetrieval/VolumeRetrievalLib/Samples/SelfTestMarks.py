"""Steps of the self test: marking results, ranking again, searching with a result, and going back."""

from __future__ import annotations

from ..Values import Marks
from .SelfTestStory import Step, Story, expect


class MarksSteps:
    def __init__(self, story: Story):
        self.story = story

    def steps(self) -> list[Step]:
        return [
            ("results are marked by the buttons of their rows, and the query keeps it", self.mark),
            ("Refine ranks again with the marks", self.refine),
            ("marks can be taken back", self.clear),
            ("a result becomes the next query, and Back returns", self.searchWithResult),
        ]

    def mark(self) -> None:
        story = self.story
        result = story.pressSearch()
        table = story.widget.panel.results.table
        table.buttons(0).unlike.click()
        table.buttons(len(result.matches) - 1).like.click()
        marks = Marks((result.matches[-1].volume_id,), (result.matches[0].volume_id,))
        expect("marks of the query", story.logic.marks(story.query), marks)
        expect("Refine can be pressed", story.ui.refineButton.enabled, True)

    def refine(self) -> None:
        story = self.story
        before = story.needResult()
        after = story.press(story.ui.refineButton)
        expect("what fits comes first", after.matches[0].volume_id, before.matches[-1].volume_id)
        expect("what does not comes last", after.matches[-1].volume_id, before.matches[0].volume_id)
        expect("marks of the results", (len(after.like), len(after.unlike)), (1, 1))
        expect("its similarity is shown as before", abs(after.matches[0].score - before.matches[-1].score) < 1e-4, True)

    def clear(self) -> None:
        story = self.story
        story.ui.clearMarksButton.click()
        expect("marks of the query", story.logic.marks(story.query), Marks())
        after = story.press(story.ui.refineButton)
        expect("marks of the results", (after.like, after.unlike), ((), ()))
        expect("the line of marks is gone", story.ui.marksLabel.isHidden(), True)

    def searchWithResult(self) -> None:
        story = self.story
        first = story.needResult()
        best = first.matches[0]
        found = story.press(story.widget.panel.results.table.buttons(0).search)
        own = [one.series_uid for one in found.matches if one.series_uid == best.series_uid]
        expect("the result itself", own, [])
        expect("Back can be pressed", story.ui.backButton.enabled, True)
        story.ui.backButton.click()
        expect("the results before", story.widget.panel.result is first, True)
        expect("the query before", story.widget.panel.query.query is story.query, True)
        story.result = first
