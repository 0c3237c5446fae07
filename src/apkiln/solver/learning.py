"""Learning: from a domain without values back along the reasons, to a clause that follows, and the steps that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from apkiln.solver.decisions import Decisions
from apkiln.solver.reasons import Clause, Learned, Use, causes


class Learning(Decisions):
    """Decisions of which conflicts say what to revise."""

    __slots__ = ("_uses",)

    def __init__(self, step_limit: int, load: Callable[[int], Iterable[Clause]] | None) -> None:
        """`load`: see `ClauseSolver`."""
        super().__init__(step_limit, load)
        self._uses: list[Use] = []
        """Steps of the analysis that is going on, or was the last one."""

    def _learn(self) -> bool:
        """Derive a clause from a domain without values and go back; False when there is nothing left to revise."""
        self._spend()
        for number in dict.fromkeys(self._changed[self._head :]):
            if not (self._loaded[number] or self._domains[number] & self._none[number]):
                self._bring(number)  # that its variables are alternatives may be why
        self._uses = []
        needs = self._needs_of_conflict()
        while True:
            if not self._borders:
                self._broken = True
                self._settle()
                return False
            learned = self._first_point(needs)
            if learned is not None:
                break
            self._backtrack(len(self._borders) - 1)
        for number, _ in learned:
            self._bump(number)
        self._shorten(learned)
        others = sorted(learned[1:], key=self._since, reverse=True)
        clause = Learned([learned[0], *others], self._uses)
        self._backtrack(self._level_of(self._since(others[0])) if others else 0)
        if others:
            self._watches[clause[0][0]].append(clause)
            self._watches[clause[1][0]].append(clause)
        number, bits = clause[0]
        if others:
            self._narrow(number, self._domains[number] & bits, clause)
        else:
            self._rule_out(number, self._full[number] & ~bits, clause)
        self._increment *= 1.05
        return True

    def _needs_of_conflict(self) -> dict[int, int]:
        """Domains and the values that they must have lost, so that one has none."""
        number = self._wiped
        assert number is not None, "asked after a conflict only"
        needs = {number: self._possible[number]}
        self._use_lasting(number, self._full[number])
        if self._history[number]:
            self._resolve(needs, self._history[number][-1])
        return needs

    def _use_lasting(self, number: int, values: int) -> None:
        gone = values & ~self._possible[number]
        self._uses += [Use(number, lost & gone, why) for lost, why in self._lasting[number] if lost & gone]

    def _resolve(self, needs: dict[int, int], place: int) -> Clause:
        """Put the reason of a change in its place; it is returned."""
        number = self._changed[place]
        lost = needs[number] & self._before[place] & ~self._after[place]
        left = needs[number] & ~lost
        if left:
            needs[number] = left
        else:
            del needs[number]
        why = self._reasons[place]
        assert why is not None, "every change but a decision has a reason"
        self._uses.append(Use(number, lost, why))
        reason = self._explained(place, lost)
        for other, values in reason:
            needs[other] = needs.get(other, 0) | values
        self._bump(number)
        return reason

    def _explained(self, place: int, lost: int) -> Clause:
        """Why a domain lost some values: others, and what they had lost before; without what can hold in no case."""
        reason = self._reasons[place]
        assert reason is not None, "every change but a decision has a reason"
        possible = self._possible
        behind = causes(self._changed[place], lost, reason)
        return [(other, values & possible[other]) for other, values in behind if values & possible[other]]

    def _first_point(self, needs: dict[int, int]) -> Clause | None:
        """Go back along the reasons until a single domain of this level is left: a clause with that one first.  None when no
        change of this level matters."""
        border = self._borders[-1]
        changed, before, after = self._changed, self._before, self._after
        at_border: dict[int, int] = {}
        for place in range(len(changed) - 1, border - 1, -1):
            at_border[changed[place]] = before[place]
        recent = {number for number, values in needs.items() if values & at_border.get(number, 0)}
        if not recent:
            return None
        for place in range(len(changed) - 1, border - 1, -1):
            number = changed[place]
            values = needs.get(number, 0)
            if not values & before[place] & ~after[place]:
                continue
            if len(recent) == 1:
                break
            reason = self._resolve(needs, place)
            if not needs.get(number, 0) & at_border[number]:
                recent.discard(number)
            recent.update([other for other, _ in reason if needs[other] & at_border.get(other, 0)])
        first = recent.pop()
        return [(first, needs.pop(first)), *needs.items()]

    def _shorten(self, clause: Clause) -> None:
        """Leave out literals that the others imply."""
        needs = dict(clause)
        for number, values in clause[1:]:
            places = [place for place in self._history[number] if values & self._before[place] & ~self._after[place]]
            reasons = [why for place in places for why in [self._reasons[place]] if why is not None]
            if len(reasons) == len(places) and all(self._implied(needs, place, number, values) for place in places):
                lost = [values & self._before[place] & ~self._after[place] for place in places]
                self._uses += [Use(number, each, why) for each, why in zip(lost, reasons, strict=True)]
                del needs[number]
        clause[:] = list(needs.items())

    def _implied(self, needs: dict[int, int], place: int, number: int, values: int) -> bool:
        lost = values & self._before[place] & ~self._after[place]
        return all(other != number and not wanted & ~needs.get(other, 0) for other, wanted in self._explained(place, lost))

    def _assumptions_behind(self, literal: int, assumptions: Sequence[int]) -> list[int]:
        """Assumptions that together refute the assumption `literal` (itself included)."""
        number, bits = self._literal(literal)
        needs = {number: bits & self._possible[number]}
        self._uses = []
        self._use_lasting(number, bits)
        core = [literal]
        for place in range(len(self._changed) - 1, -1, -1):
            number = self._changed[place]
            if not needs.get(number, 0) & self._before[place] & ~self._after[place]:
                continue
            if self._reasons[place] is None:
                needs[number] &= ~self._before[place] | self._after[place]
                core.append(assumptions[self._level_of(place) - 1])
            else:
                self._resolve(needs, place)
        return core

    # ---- the proof

    def proof(self) -> list[Use]:
        """After a `False` answer: steps that lead to it, in no order."""
        found: list[Use] = []
        seen: set[tuple[int, int, int]] = set()
        traced: dict[int, int] = {}
        pending = list(self._uses)
        if self._broken and self._wiped is not None:
            pending += [Use(self._wiped, lost, reason) for lost, reason in self._lasting[self._wiped]]
        while pending:
            use = pending.pop()
            key = (use.number, use.lost, id(use.reason))
            if key in seen:
                continue
            seen.add(key)
            found.append(use)
            if isinstance(use.reason, Learned):
                pending += use.reason.uses
            for number, values in causes(*use):
                always = values & ~self._possible[number] & ~traced.get(number, 0)
                if always:
                    traced[number] = traced.get(number, 0) | always
                    pending += [Use(number, lost & always, why) for lost, why in self._lasting[number] if lost & always]
        return found
