"""Whether the units and compose files are what their readers take them for: `make deployment`.

    check.py FOLDER        where the programs broker, agent and camera are

Units are verified by systemd itself. Of compose files there is no linter without Docker, so they are read as YAML, and keys,
names and references are compared with what the Compose specification knows. Every command line, in both, is given
to the program that it is for, with files in the place of its credentials.
"""

import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = pathlib.Path(sys.argv[-1]).resolve()
UNITS = sorted((HERE / "systemd").glob("*.service"))
COMPOSE = sorted((HERE / "compose").glob("*.yaml"))
# The most that `systemd-analyze security` may find, in tenths of its scale of ten.
EXPOSURE = 20

TOP = {"name", "services", "secrets", "volumes", "networks"}
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "mem_limit", "networks",
    "ports", "read_only", "restart", "secrets", "security_opt", "ulimits", "user", "volumes",
}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}


def text(credential):
    """Something that a program takes for what is in a credential."""
    if credential.startswith("users"):
        return '[alice]\nrooms = ["*"]\n'
    return "0123456789abcdef0123456789abcdef\n"


class Place:
    """A folder with a file for each credential."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        made = [PROGRAMS / "broker", "cert", "--host", "localhost"]
        subprocess.run(made, cwd=self.path, check=True, capture_output=True)

    def put(self, credential):
        path = self.path / credential
        if credential in ("certificate", "key"):
            return self.path / {"certificate": "cert.pem", "key": "key.pem"}[credential]
        if not path.exists():
            path.write_text(text(credential))
        return path


def unit(path):
    """The settings of a unit, in order."""
    joined = re.sub(r"\\\n\s*", "", path.read_text())
    lines = [line.split("=", 1) for line in joined.splitlines() if "=" in line and not line.startswith(("#", ";"))]
    return [tuple(line) for line in lines]


def run(program, words, environment=None):
    """Has a program judge its command line without doing anything."""
    last = "--print-config" if program == "broker" else "--help"
    return subprocess.run(
        [PROGRAMS / program, *words, last],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})},
        capture_output=True, text=True,
    )


class Deployment(unittest.TestCase):
    def place(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Place(folder.name)

    def judged(self, program, words, environment, where):
        done = run(program, words, environment)
        self.assertEqual(done.returncode, 0, f"{where}: {program} {words}\n{done.stderr}")
        # What a program does not read is as wrong as a flag that it does not know.
        if environment and program != "broker":
            known = set(re.findall(r"\[env: (\w+)=", done.stdout))
            self.assertLessEqual(set(environment), known, where)

    def test_units_are_verified_by_systemd(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in UNITS:
                # The programs are installed nowhere here.
                moved = path.read_text().replace("/usr/local/bin/", f"{PROGRAMS}/")
                copy = pathlib.Path(folder) / path.name.replace("@.", "@1.")
                copy.write_text(moved)
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), path.name)

    def test_units_leave_little_to_be_attacked(self):
        for path in UNITS:
            with tempfile.TemporaryDirectory() as folder:
                copy = pathlib.Path(folder) / path.name.replace("@.", "@1.")
                copy.write_text(path.read_text())
                done = subprocess.run(
                    ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", copy],
                    capture_output=True, text=True,
                )
                last = done.stdout.strip().splitlines()[-1]
                print(path.name, re.search(r"[\d.]+ \w+", last).group())
                self.assertEqual(done.returncode, 0, f"{path.name}: {last}")

    def test_units_start_programs_as_these_want_it(self):
        place = self.place()
        for path in UNITS:
            settings = unit(path)
            credentials = [value.split(":")[0] for key, value in settings if key == "LoadCredential"]
            [command] = [value for key, value in settings if key == "ExecStart"]
            program, *words = shlex.split(command)
            used = set(re.findall(r"%d/(\S+)", command))
            self.assertEqual(used, set(credentials), f"{path.name}: credentials that are loaded and used")
            for credential in credentials:
                place.put(credential)
            words = [word.replace("%d", str(place.path)).replace("%S", "/var/lib").replace("%i", "1") for word in words]
            environment = {}
            for key, value in settings:
                if key == "EnvironmentFile" and not value.startswith("-"):
                    example = HERE / "systemd" / pathlib.Path(value).name
                    lines = [line for line in example.read_text().splitlines() if line and not line.startswith("#")]
                    environment.update(line.split("=", 1) for line in lines)
            self.judged(pathlib.Path(program).name, words, environment, path.name)

    def test_compose_files_say_what_compose_knows_and_name_what_there_is(self):
        targets = set(re.findall(r"^FROM \S+ AS (\w+)$", (HERE / "compose/Dockerfile").read_text(), re.M))
        for path in COMPOSE:
            whole = yaml.safe_load(path.read_text())
            self.assertEqual({key for key in whole if not key.startswith("x-")} - TOP, set(), path.name)
            used = {"secrets": set(), "volumes": set(), "networks": set()}
            for name, service in whole["services"].items():
                where = f"{path.name}: {name}"
                self.assertEqual(set(service) - SERVICE, set(), where)
                self.assertEqual(("image" in service) + ("build" in service), 1, where)
                if "build" in service:
                    build = service["build"]
                    self.assertLessEqual(set(build), {"context", "dockerfile", "target"}, where)
                    self.assertTrue((path.parent / build["context"] / build["dockerfile"]).is_file(), where)
                    self.assertIn(build["target"], targets, where)
                self.assertLessEqual(set(service.get("healthcheck", {})), HEALTHCHECK, where)
                self.assertLessEqual(set(service.get("depends_on", {})), set(whole["services"]), where)
                for port in service.get("ports", []):
                    self.assertRegex(port, r"^([\d.]+:)?\d+:\d+$", where)
                used["secrets"].update(service.get("secrets", []))
                used["networks"].update(service.get("networks", []))
                sources = [volume.split(":")[0] for volume in service.get("volumes", [])]
                used["volumes"].update(source for source in sources if not source.startswith((".", "/")))
            for kind, names in used.items():
                self.assertEqual(names, set(whole.get(kind, {})), f"{path.name}: {kind} that are defined and used")

    def test_compose_files_start_programs_as_these_want_it(self):
        place = self.place()
        for path in COMPOSE:
            whole = yaml.safe_load(path.read_text())
            for name, service in whole["services"].items():
                if "build" not in service:
                    continue
                where, secrets = f"{path.name}: {name}", service.get("secrets", [])
                environment = service.get("environment", {})
                words = [*service["command"], *environment.values()]
                used = {found for word in words for found in re.findall(r"/run/secrets/(\S+)", word)}
                self.assertEqual(used, set(secrets), f"{where}: secrets that are given and used")
                files = {secret: str(place.put(secret)) for secret in secrets}

                def inside(word):
                    return re.sub(r"/run/secrets/(\S+)", lambda found: files[found[1]], word)

                environment = {key: inside(value) for key, value in environment.items()}
                self.judged(service["build"]["target"], [inside(word) for word in service["command"]], environment, where)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
