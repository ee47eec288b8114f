"""Profiles by their address, each decoded once."""

from dataclasses import dataclass, field

from sincewhen.log.bodies import Bodies
from sincewhen.profiles.profile import Profile, decode_profile, encode_profile, profile_sha


@dataclass(slots=True)
class KeptProfiles:
    bodies: Bodies
    _decoded: dict[str, Profile] = field(default_factory=dict)

    def of(self, sha: str) -> Profile:
        """Raises KeyError where it is not there, ValueError where it is of another release."""
        if sha not in self._decoded:
            self._decoded[sha] = decode_profile(self.bodies.get(sha))
        return self._decoded[sha]

    def keep(self, profile: Profile) -> str:
        """Under its address, which is returned."""
        body = encode_profile(profile)
        sha = profile_sha(body)
        self.bodies.put(sha, b"", body)
        return sha

    def shas(self) -> list[str]:
        return [*self.bodies.listed()]
