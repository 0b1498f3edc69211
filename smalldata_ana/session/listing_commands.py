"""The commands that say what a run holds."""

from __future__ import annotations

from smalldata_ana.session.banner import banner
from smalldata_ana.session.state import SessionState


class ListingCommands(SessionState):
    """`info`, `Keys`, `EpicsAliases`."""

    def info(self) -> None:
        """Print what the run holds: events, detectors, constants, problems.

        Examples
        --------
        >>> anaps.info()  # doctest: +SKIP
        """
        print(banner(self.run, self.places))

    def Keys(self, printthis: bool = False) -> list[str]:
        """Return the names of everything in an event: detectors, then scalars.

        Parameters
        ----------
        printthis : print them as well, one a line, with shape and unit

        Examples
        --------
        >>> anaps.Keys()  # doctest: +SKIP
        ['jungfrau1M', 'epix100', 'gasdet/energy']
        """
        names = [n for n in self.scalars if not n.startswith(("epics/", "scan/"))]
        keys = [*self.detectors, *names]
        if printthis:
            print("\n".join(self._described(key) for key in keys))
        return keys

    def EpicsAliases(self, printthis: bool = False) -> list[str]:
        """Return the names of the slow values (EPICS) that were recorded.

        Their values are ``anaps.run.scalar("epics/<name>")``.

        Parameters
        ----------
        printthis : print them as well, one a line, with the process variable behind

        Examples
        --------
        >>> anaps.EpicsAliases()  # doctest: +SKIP
        ['lxt', 'samx']
        """
        prefix = "epics/"
        names = [n.removeprefix(prefix) for n in self.scalars if n.startswith(prefix)]
        if printthis:
            aliases = self.run.aliases
            print("\n".join(f"{name}  {aliases.get(name, '')}" for name in names))
        return names

    def _described(self, key: str) -> str:
        if key in self.detectors:
            detector = self.detectors[key]
            return f"{key}  {detector.dettype} {detector.shape}"
        scalar = self.scalars[key]
        return f"{key}  {scalar.shape or ''} {scalar.unit}".rstrip()
