"""A small complete solver: clauses over variables of which groups take one value, conflict-driven learning, assumptions,
failed-assumption cores.

Literals are non-zero integers, a negative one is the negation.  Variables made together (`group`) are alternatives: at most one
of them is true.  Inside, a group is one domain, a set of bits (its variables, and one bit for "none of them"); a literal is a
domain with the bits that it allows, so what is learned speaks of sets of alternatives and not of each by itself, and what all
remaining alternatives have in common is known before one is chosen.  Deterministic: no randomness, ties go to the lower number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush

from apkiln.core.named_tuple import NamedTuple

Allowed = tuple[int, int]
"""A literal inside: a domain, and the bits of which one must be there."""
Clause = list[Allowed]
"""At least one holds.  Each domain at most once; the first two are watched."""


PATIENCE = 50
"""Conflicts on the way of `choose` before it is found out whether that way can lead anywhere."""
RESTART = 50
"""Conflicts to the first restart, and by how many more the following ones come later."""


class StepLimitReached(Exception):
    """The budget of conflicts is spent; the question stays open."""


class Table:
    """What each value of one domain leaves to another one."""

    __slots__ = ("backward", "entries", "forward", "free", "source", "target")

    def __init__(self, source: int, target: int, free: int, entries: list[tuple[int, int]]) -> None:
        self.source = source
        self.target = target
        self.free = free
        """Values that leave everything."""
        self.entries = entries
        """Values and what they leave; the values of no two entries overlap."""
        self.forward = (self, True)
        self.backward = (self, False)


Reason = Clause | tuple[Table, bool]
"""What takes values from a domain: a clause, or a table towards its target (True) or its source."""
_FACT: Clause = []
"""Reason of what holds always."""


class Use(NamedTuple):
    """A step of a proof."""

    number: int
    lost: int
    """Values that a domain loses."""
    reason: Reason


class Learned(list[Allowed]):
    """A clause that follows from others."""

    __slots__ = ("uses",)

    def __init__(self, literals: Iterable[Allowed], uses: Sequence[Use]) -> None:
        super().__init__(literals)
        self.uses = uses


class ClauseSolver:
    """Clauses over variables 1…n; grows between questions, and by what `load` brings.

    With `choose`, it is asked for the next literal to try when all assumptions hold; None ends the search with a model in
    which every variable without a value is false.
    """

    def __init__(self, step_limit: int, load: Callable[[int], Iterable[Clause]] | None = None) -> None:
        """`load`: clauses about a domain (`domain_of`) that matter from the moment one of its variables must be true; those of
        two literals begin with the one on this domain."""
        self.steps_left = step_limit
        """Conflicts and decisions still allowed, over all questions."""
        self.core: list[int] = []
        """After a `False` answer: assumptions that cannot hold together; empty when the clauses alone cannot."""
        self.choose: Callable[[], int | None] | None = None
        """Where it leads into many conflicts, the question whether there is a model at all behind what stood through them is
        answered without it first."""
        self.lowest_level = 0
        """The lowest level that was left since `choose` set it higher."""
        self._load = load
        self._assumed: Sequence[int] = ()
        self._places: list[Allowed] = [(0, 0)]
        """Of each variable: its domain and bit."""
        # ---- of each domain
        self._domains: list[int] = []
        self._full: list[int] = []
        self._possible: list[int] = []
        """Without what can hold in no case."""
        self._none: list[int] = []
        self._first: list[int] = []
        """Its first variable."""
        self._loaded: list[bool] = []
        self._history: list[list[int]] = []
        """Places on the trail where it changed, above level 0."""
        self._watches: list[list[Clause]] = []
        self._out: list[list[Table]] = []
        self._in: list[list[Table]] = []
        self._lasting: list[list[tuple[int, Reason]]] = []
        """Values lost for good, and why."""
        self._activity: list[float] = []
        self._saved: list[int] = []
        # ---- the trail: one entry per change of a domain
        self._changed: list[int] = []
        self._before: list[int] = []
        self._after: list[int] = []
        self._reasons: list[Reason | None] = []
        self._borders: list[int] = []
        self._true: list[int] = []
        self._true_borders: list[int] = []
        self._head = 0
        self._wiped: int | None = None
        """A domain without values."""
        self._led = False
        self._conflicts = 0
        """Since the way of deciding changed, or the last restart."""
        self._floor = 0
        """Level: led, the lowest since then; free, the one that is not revised."""
        self._pause = 0
        self._increment = 1.0
        self._order: list[tuple[float, int]] = []
        self._uses: list[Use] = []
        """Steps of the analysis that is going on, or was the last one."""
        self._broken = False

    # ---- variables, clauses

    def variable(self) -> int:
        """A new variable."""
        return self.group(1)[0]

    def group(self, count: int) -> Sequence[int]:
        """New variables of which at most one is true."""
        first, number = len(self._places), len(self._domains)
        self._places += [(number, 1 << bit) for bit in range(count)]
        self._domains.append((2 << count) - 1)
        self._full.append((2 << count) - 1)
        self._possible.append((2 << count) - 1)
        self._none.append(1 << count)
        self._first.append(first)
        self._loaded.append(self._load is None)
        self._history.append([])
        self._watches.append([])
        self._out.append([])
        self._in.append([])
        self._lasting.append([])
        self._activity.append(0.0)
        self._saved.append(1 << count)
        return range(first, first + count)

    def domain_of(self, variable: int) -> int:
        """Number of the domain that a variable is a value of."""
        return self._places[variable][0]

    def full(self, domain: int) -> int:
        """All bits of a domain."""
        return self._full[domain]

    def without(self, variable: int) -> Allowed:
        """The negation of a variable, as a literal inside."""
        return self._literal(-variable)

    def clause(self, literals: Iterable[int]) -> Clause:
        """Literals as they are inside."""
        allowed: dict[int, int] = {}
        for literal in literals:
            number, bits = self._literal(literal)
            allowed[number] = allowed.get(number, 0) | bits
        return list(allowed.items())

    def add(self, literals: Iterable[int]) -> None:
        """A clause: at least one literal holds."""
        self.add_clause(self.clause(literals))

    def add_clause(self, clause: Clause) -> None:
        """A clause: at least one literal holds."""
        self._backtrack(0)
        self._take(clause)

    def _literal(self, literal: int) -> Allowed:
        number, bit = self._places[abs(literal)]
        return (number, bit) if literal > 0 else (number, self._full[number] ^ bit)

    def _take(self, clause: Clause) -> bool:
        """Watch a new clause and draw what follows from it now; False when it is violated."""
        domains, full = self._domains, self._full
        if any(bits == full[number] for number, bits in clause):
            return True
        if len(clause) > 1:
            clause.sort(key=self._standing)
            self._watches[clause[0][0]].append(clause)
            self._watches[clause[1][0]].append(clause)
            number, bits = clause[1]
            if domains[number] & bits:
                return True
        if not clause:
            self._broken = True
            return False
        number, bits = clause[0]
        if len(clause) == 1:
            return self._rule_out(number, full[number] & ~bits, clause)
        return self._narrow(number, domains[number] & bits, clause)

    def _rule_out(self, number: int, values: int, reason: Clause) -> bool:
        """Take values from a domain for good."""
        self._lasting[number].append((values & self._possible[number], reason))
        self._possible[number] &= ~values
        return self._narrow(number, self._domains[number] & ~values, _FACT)

    def _standing(self, literal: Allowed) -> int:
        """Where a literal of a new clause belongs: what may hold first, then what was refuted last."""
        return -len(self._changed) - 1 if self._domains[literal[0]] & literal[1] else -self._since(literal)

    # ---- what holds

    @property
    def level(self) -> int:
        """How many assumptions and decisions hold now."""
        return len(self._borders)

    @property
    def trail(self) -> Sequence[int]:
        """Variables that are true now, in the order in which they came to be."""
        return self._true

    def value(self, literal: int) -> int:
        """1 when the literal holds now, -1 when its negation does, 0 when it is open."""
        number, bits = self._literal(literal)
        domain = self._domains[number]
        left = domain & bits
        return -1 if not left else 1 if left == domain else 0

    def holds(self, variable: int) -> bool:
        """Value of a variable in the last model."""
        number, bit = self._places[variable]
        return self._domains[number] == bit

    # ---- search

    def solve(self, assumptions: Sequence[int] = ()) -> bool:
        """Whether all clauses and assumptions can hold together; the model stays readable until the next call.

        What follows from assumptions at the beginning that are those of the call before is not worked out again.
        """
        self._backtrack(self._shared(assumptions))
        self._assumed = tuple(assumptions)
        self.core = []
        self._turn(led=self.choose is not None)
        while not self._broken:
            if not self._propagate():
                if not self._learn():
                    return False
                self._after_conflict()
                continue
            if not self._assume(assumptions):
                return False
            if self._head == len(self._changed) and not self._decide():
                if self._led or self.choose is None:
                    return True
                self._turn(led=True)
        return False

    def _turn(self, *, led: bool) -> None:
        """Go on as `choose` wants it, or freely: by what conflicts were about lately, with restarts."""
        self._led = led
        self._conflicts = 0
        if led:
            self._floor = len(self._borders)
            return
        self._floor = max(self._floor, len(self._assumed)) if self.choose is not None else len(self._assumed)
        self._pause = RESTART
        self._backtrack(self._floor)
        self._order = [(-self._activity[number], number) for number, each in enumerate(self._domains) if each & (each - 1)]
        heapify(self._order)

    def _after_conflict(self) -> None:
        self._conflicts += 1
        level = len(self._borders)
        if self._led:
            self._floor = min(self._floor, level)
            if self._conflicts > PATIENCE:
                self._turn(led=False)
        elif self.choose is not None and level < self._floor:
            self._turn(led=True)
        elif self._conflicts > self._pause:
            self._conflicts = 0
            self._pause += RESTART
            self._backtrack(self._floor)

    def _shared(self, assumptions: Sequence[int]) -> int:
        level = 0
        for literal, before in zip(assumptions, self._assumed, strict=False):
            if literal != before or level == len(self._borders):
                break
            level += 1
        return level

    def _assume(self, assumptions: Sequence[int]) -> bool:
        """Take the next assumptions, up to one that says something new; False when one is refuted (`core` is set)."""
        while len(self._borders) < len(assumptions):
            literal = assumptions[len(self._borders)]
            number, bits = self._literal(literal)
            left = self._domains[number] & bits
            if not left:
                self.core = self._assumptions_behind(literal, assumptions)
                return False
            self._open_level()
            if left != self._domains[number]:
                self._narrow(number, left, None)
                break
        return True

    def _decide(self) -> bool:
        """Take the next decision; False when there is none left."""
        self._spend()
        if self._led and self.choose is not None:
            literal = self.choose()
            decision = self._literal(literal) if literal is not None else None
        else:
            decision = self._open_choice()
        if decision is not None:
            self._open_level()
            self._narrow(decision[0], self._domains[decision[0]] & decision[1], None)
        return decision is not None

    def _open_choice(self) -> Allowed | None:
        """A value for an open domain: what it had last, or none of its variables, or the last one."""
        while self._order:
            _, number = heappop(self._order)
            domain = self._domains[number]
            if domain & (domain - 1):
                none = self._none[number]
                for value in (self._saved[number], none):
                    if value & domain:
                        return number, value
                return number, 1 << (domain.bit_length() - 1)
        return None

    def _spend(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise StepLimitReached

    def _open_level(self) -> None:
        self._borders.append(len(self._changed))
        self._true_borders.append(len(self._true))

    def _narrow(self, number: int, left: int, reason: Reason | None) -> bool:
        """Leave some values of a domain; False when none is left."""
        before = self._domains[number]
        if left == before:
            return True
        if self._borders:
            self._history[number].append(len(self._changed))
        self._domains[number] = left
        self._changed.append(number)
        self._before.append(before)
        self._after.append(left)
        self._reasons.append(reason)
        if not left & (left - 1):
            if not left:
                self._wiped = number
                return False
            if left != self._none[number]:
                self._true.append(self._first[number] + left.bit_length() - 1)
        return True

    # ---- propagation

    def _propagate(self) -> bool:
        """Draw what follows; False when a domain has no value left."""
        if self._wiped is not None:
            return False
        while self._head < len(self._changed):
            place = self._head
            number = self._changed[place]
            self._head += 1
            asked = not self._domains[number] & self._none[number]
            if asked and not self._loaded[number] and not self._bring(number):
                return False
            if self._out[number] and not self._from(number, asked and bool(self._before[place] & self._none[number])):
                return False
            if self._in[number] and not self._towards(number):
                return False
            if self._watches[number] and not self._visit(number):
                return False
        if not self._borders:
            self._settle()
        return True

    def _settle(self) -> None:
        """What holds without assumptions needs no trail."""
        for number, before, after, reason in zip(self._changed, self._before, self._after, self._reasons, strict=True):
            self._possible[number] = self._domains[number]
            if reason is not _FACT and reason is not None:
                self._lasting[number].append((before & ~after, reason))
        self._changed.clear()
        self._before.clear()
        self._after.clear()
        self._reasons.clear()
        self._head = 0

    def _from(self, number: int, newly_asked: bool) -> bool:
        """Leave to others what some value of this domain leaves to them."""
        domains = self._domains
        for table in self._out[number]:
            domain = domains[number]
            target = table.target
            if newly_asked and not self._backwards(table):
                return False
            if domain & table.free:
                continue
            before = domains[target]
            left = 0
            for values, allowed in table.entries:
                if values & domain:
                    left |= allowed
                    if not before & ~left:
                        break
            else:
                if not self._narrow(target, before & left, table.forward):
                    return False
        return True

    def _towards(self, number: int) -> bool:
        """Take values from others that this domain no longer goes with."""
        domain = self._domains[number]
        domains = self._domains
        for table in self._in[number]:
            source = domains[table.source]
            lost = 0
            for values, allowed in table.entries:
                if not allowed & domain:
                    lost |= values
            if source & lost and not self._narrow(table.source, source & ~lost, table.backward):
                return False
        return True

    def _backwards(self, table: Table) -> bool:
        domain, source = self._domains[table.target], self._domains[table.source]
        lost = 0
        for values, allowed in table.entries:
            if not allowed & domain:
                lost |= values
        return not source & lost or self._narrow(table.source, source & ~lost, table.backward)

    def _visit(self, number: int) -> bool:
        """The clauses that watch a domain."""
        domains, watches = self._domains, self._watches
        watching = watches[number]
        kept: list[Clause] = []
        for position, clause in enumerate(watching):
            if clause[0][0] == number:
                clause[0], clause[1] = clause[1], clause[0]
            if domains[number] & clause[1][1]:
                kept.append(clause)
                continue
            other, bits = clause[0]
            domain = domains[other]
            if domain & bits != domain or not domain:
                for place in range(2, len(clause)):
                    following, wanted = clause[place]
                    if domains[following] & wanted:
                        clause[1], clause[place] = clause[place], clause[1]
                        watches[following].append(clause)
                        break
                else:
                    kept.append(clause)
                    if not self._narrow(other, domain & bits, clause):
                        kept += watching[position + 1 :]
                        watches[number] = kept
                        return False
                continue
            kept.append(clause)
        watches[number] = kept
        return True

    def _bring(self, number: int) -> bool:
        """Take the clauses of a domain one of whose variables must be true; False when one is violated."""
        assert self._load is not None
        self._loaded[number] = True
        full = self._full
        fine = self._wiped is None
        pairs: dict[int, dict[int, int]] = {}
        longer: list[Clause] = []
        for clause in self._load(number):
            if len(clause) == 1 and clause[0][0] == number:
                fine = self._rule_out(number, full[number] ^ clause[0][1], clause) and fine
            elif len(clause) == 2 and clause[0][0] == number:
                target, allowed = clause[1]
                values = full[number] ^ clause[0][1]
                left = pairs.setdefault(target, {})
                left[values] = left.get(values, full[target]) & allowed
            else:
                longer.append(clause)
        for target, left in pairs.items():
            table = self._table(number, target, left)
            self._out[number].append(table)
            self._in[target].append(table)
            fine = fine and self._backwards(table)
        for clause in longer:
            fine = (self._take(clause) if fine else self._watch_unseen(clause)) and fine
        return fine

    def _watch_unseen(self, clause: Clause) -> bool:
        """Watch a clause that comes while a conflict stands."""
        if len(clause) > 1 and all(bits != self._full[number] for number, bits in clause):
            clause.sort(key=self._standing)
            self._watches[clause[0][0]].append(clause)
            self._watches[clause[1][0]].append(clause)
        return True

    def _table(self, source: int, target: int, left: dict[int, int]) -> Table:
        """From what single values leave; several clauses about one value hold together."""
        entries: dict[int, int] = {}
        free = self._full[source]
        for values, allowed in left.items():
            free &= ~values
            entries[allowed] = entries.get(allowed, 0) | values
        return Table(source, target, free, [(values, allowed) for allowed, values in entries.items()])

    # ---- conflicts

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
        causes = _causes(self._changed[place], lost, reason)
        return [(other, values & possible[other]) for other, values in causes if values & possible[other]]

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
            for number, values in _causes(*use):
                always = values & ~self._possible[number] & ~traced.get(number, 0)
                if always:
                    traced[number] = traced.get(number, 0) | always
                    pending += [Use(number, lost & always, why) for lost, why in self._lasting[number] if lost & always]
        return found

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

    def _since(self, literal: Allowed) -> int:
        """Place on the trail at which a literal was refuted; -1 = it never could hold."""
        number, bits = literal
        for place in reversed(self._history[number]):
            if self._before[place] & bits:
                return place
        return -1

    def _level_of(self, place: int) -> int:
        return bisect_right(self._borders, place)

    def _bump(self, number: int) -> None:
        self._activity[number] += self._increment
        if self._activity[number] > 1e100:
            self._activity = [value * 1e-100 for value in self._activity]
            self._increment *= 1e-100
            self._order = [(-self._activity[other], other) for _, other in self._order]
        if not self._led:
            heappush(self._order, (-self._activity[number], number))

    def _backtrack(self, level: int) -> None:
        """Take back what is above a level, except what holds always."""
        if len(self._borders) <= level:
            return
        self.lowest_level = min(self.lowest_level, level)
        self._wiped = None
        border = self._borders[level]
        domains, history, possible = self._domains, self._history, self._possible
        free = not self._led
        late: dict[int, None] = {}
        for place in range(len(self._changed) - 1, border - 1, -1):
            number = self._changed[place]
            after, before = self._after[place], self._before[place]
            if free:
                if after and not after & (after - 1):
                    self._saved[number] = after
                heappush(self._order, (-self._activity[number], number))
            if before & ~possible[number]:
                late[number] = None
            domains[number] = before
            history[number].pop()
        for entries in (self._changed, self._before, self._after, self._reasons):
            del entries[border:]
        del self._true[self._true_borders[level] :]
        del self._borders[level:]
        del self._true_borders[level:]
        self._head = min(self._head, border)
        for number in late:
            self._narrow(number, domains[number] & possible[number], _FACT)

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


def _causes(number: int, lost: int, reason: Reason) -> Clause:
    """Domains, and what they must have lost for a domain to lose some values."""
    if isinstance(reason, list):
        return [literal for literal in reason if literal[0] != number]
    table, forward = reason
    values = 0
    if forward:
        values = table.free
        for source_values, allowed in table.entries:
            if allowed & lost:
                values |= source_values
        return [(table.source, values)]
    for source_values, allowed in table.entries:
        if source_values & lost:
            values |= allowed
    return [(table.target, values)]
