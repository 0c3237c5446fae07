"""Propagation: what follows from clauses and tables once domains have lost values, and the clauses that come with a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from apkiln.solver.domains import Domains
from apkiln.solver.reasons import Allowed, Clause, Table


class Propagation(Domains):
    """Domains with the clauses and tables about them."""

    __slots__ = (
        "_broken",
        "_in",
        "_load",
        "_loaded",
        "_out",
        "_watches",
    )

    def __init__(self, load: Callable[[int], Iterable[Clause]] | None) -> None:
        """`load`: see `ClauseSolver`."""
        super().__init__()
        self._load = load
        # ---- of each domain
        self._loaded: list[bool] = []
        self._watches: list[list[Clause]] = []
        self._out: list[list[Table]] = []
        self._in: list[list[Table]] = []
        self._broken = False
        """The clauses cannot hold together."""

    def group(self, count: int) -> Sequence[int]:
        """New variables of which at most one is true."""
        self._loaded.append(self._load is None)
        self._watches.append([])
        self._out.append([])
        self._in.append([])
        return super().group(count)

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

    # ---- new clauses

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

    def _standing(self, literal: Allowed) -> int:
        """Where a literal of a new clause belongs: what may hold first, then what was refuted last."""
        return -len(self._changed) - 1 if self._domains[literal[0]] & literal[1] else -self._since(literal)

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
