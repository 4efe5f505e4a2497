"""Names of serial ports, given by the machine's own udev to boards and adapters that are trees of files.

The trees have the shape that Linux gives them in /sys; udevadm reads them in a mount namespace of its own, with our
rules after those of systemd. Whether a real kernel calls a driver just so nobody saw here.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import rules

RULES = Path(__file__).parents[2] / "packaging" / "udev" / "60-shouwang.rules"
ONE_SHELL = """
set -e
mount --bind "$1" /sys
mount -t tmpfs none /run
mkdir -p /run/udev/rules.d
cp "$2" /run/udev/rules.d/60-shouwang.rules
grep -v ^gpio: /etc/group > /run/group
echo gpio:x:997: >> /run/group
mount --bind /run/group /etc/group
mount -t tmpfs none /dev
cd /dev
ln -s /proc/self/fd fd
mknod -m 666 null c 1 3
shift 2
while [ $# -gt 0 ]; do
    [ "$1" = - ] || mknod "/dev/${2##*/}" c 188 "$1"
    echo "@@@ ${2##*/}"
    udevadm test --action=add "$2" 2>&1
    shift 2
done
"""
PI4 = "devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb1"
PI5 = "devices/platform/axi/1000120000.pcie/1f00200000.usb/xhci-hcd.0/usb1"
SYSTEMD = (Path("/usr/lib/udev/rules.d"), Path("/lib/udev/rules.d"))

pytestmark = [
    pytest.mark.proves("N14", "F38"),
    pytest.mark.skipif(
        os.geteuid() != 0
        or shutil.which("udevadm") is None
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0
        or not any((folder / "60-serial.rules").exists() for folder in SYSTEMD),
        reason="NO UDEV WAS ASKED: only root may, where it may mount, and udev must be installed",
    ),
]


class Tree:
    """A made-up /sys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: list[tuple[str, str]] = []
        for name in ("bus", "class", "devices"):
            (folder / name).mkdir(parents=True)

    def put(self, path: str, subsystem: str, *, driver: str = "", uevent: str = "", **attributes: str) -> str:
        """One device. Its kernel gives it nothing but what stands here."""
        place = self.folder / path
        place.mkdir(parents=True, exist_ok=True)
        (place / "uevent").write_text(uevent)
        kinds = self.folder / "bus" / subsystem
        (kinds / "drivers" / driver).mkdir(parents=True, exist_ok=True)
        self._link(place / "subsystem", kinds)
        if driver:
            self._link(place / "driver", kinds / "drivers" / driver)
        for name, value in attributes.items():
            file = place / name.replace("__", "/")
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{value}\n")
        return path

    def usb(
        self, root: str, socket: str, driver: str, *, vendor: str, product: str, number: str = "", tty: str
    ) -> None:
        """An adapter with one port in a socket such as 1-1.2."""
        about = {"idVendor": vendor, "idProduct": product, "product": "USB Serial", "manufacturer": "maker"}
        if number:
            about["serial"] = number
        at = self.put(
            f"{root}/{socket}", "usb", driver="usb", uevent="DEVTYPE=usb_device\n", power__control="auto", **about
        )  # fmt: skip
        at = self.put(
            f"{at}/{socket}:1.0", "usb", driver=driver, uevent="DEVTYPE=usb_interface\n", bInterfaceNumber="00",
            bInterfaceClass="ff", bInterfaceSubClass="00", bInterfaceProtocol="00",
        )  # fmt: skip
        self.port(at, driver, tty, port="0")

    def port(self, interface: str, driver: str, tty: str, *, port: str) -> None:
        """One port of an adapter."""
        if tty.startswith("ttyUSB"):
            interface = self.put(f"{interface}/{tty}", "usb-serial", driver=driver, port_number=port)
        self.tty(interface, tty)

    def tty(self, parent: str, name: str) -> None:
        minor = len(self.ports)
        uevent = f"MAJOR=188\nMINOR={minor}\nDEVNAME={name}\n"
        self.ports.append((str(minor), self.put(f"{parent}/tty/{name}", "tty", uevent=uevent, dev=f"188:{minor}")))

    def asked(self, *more: str) -> dict[str, str]:
        """What udev says of each port, and of `more` paths, by the last part of the path."""
        named = [word for minor, path in [*self.ports, *(("-", path) for path in more)] for word in (minor, path)]
        asks = [word if index % 2 == 0 else f"/sys/{word}" for index, word in enumerate(named)]
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", ONE_SHELL, "sh", self.folder, RULES, *asks],
            capture_output=True, text=True, check=False, env={**os.environ, "SYSTEMD_DEVICE_VERIFY_SYSFS": "0"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
        for wrong in re.findall(r".*60-shouwang\.rules:\d+.*", done.stdout):
            assert not re.search("Invalid|Unknown|failed|ignor|expected", wrong, re.IGNORECASE), wrong
        return {part.split("\n", 1)[0]: part for part in done.stdout.split("@@@ ")[1:]}

    @staticmethod
    def _link(at: Path, to: Path) -> None:
        if not at.is_symlink():
            at.symlink_to(os.path.relpath(to, at.parent))


def ours(said: str) -> list[str]:
    found = re.search(r"^\s*(?:E: )?DEVLINKS=(.*)$", said, re.MULTILINE)
    return [name for name in (found[1].split() if found else []) if name.startswith("/dev/shouwang/")]


def board(tree: Tree, root: str) -> str:
    """The bus of a board, with a hub in its socket 1."""
    parts = root.split("/")
    for many in range(3, len(parts)):
        name = parts[many - 1]
        kind = "pci" if re.fullmatch(r"[0-9a-f]{4}:.*", name) else "" if name.startswith("pci") else "platform"
        if kind:
            tree.put("/".join(parts[:many]), kind, driver="xhci_hcd")
    tree.put(root, "usb", driver="usb", uevent="DEVTYPE=usb_device\n", idVendor="1d6b", idProduct="0002")
    return tree.put(
        f"{root}/1-1", "usb", driver="usb", uevent="DEVTYPE=usb_device\n", idVendor="2109", idProduct="3431"
    )


ADAPTERS = {
    "ftdi_sio": ("0403", "6001", "A10K2X"), "ch341": ("1a86", "7523", ""), "cp210x": ("10c4", "ea60", "0001"),
    "pl2303": ("067b", "2303", ""), "cdc_acm": ("1a86", "55d3", "5A7B"),
}  # fmt: skip
"""Driver: vendor, product, and its own number, which cheap ones do not have."""


@pytest.mark.parametrize("root", [PI4, PI5], ids=["pi4", "pi5"])
def test_each_adapter_has_a_name_that_is_its_sockets_and_stays_when_it_is_exchanged(tmp_path: Path, root: str) -> None:
    first, second = Tree(tmp_path / "first"), Tree(tmp_path / "second")
    for tree, order in ((first, list(ADAPTERS)), (second, list(reversed(ADAPTERS)))):
        hub = board(tree, root)
        for socket, driver in enumerate(order, 1):
            vendor, product, number = ADAPTERS[driver]
            tty = f"tty{'ACM' if driver == 'cdc_acm' else 'USB'}{socket}"
            tree.usb(
                hub, f"1-1.{socket}", driver, vendor=vendor, product=product, number=number, tty=tty
            )  # fmt: skip
    names = {}
    for tree in (first, second):
        said = tree.asked()
        found = [ours(text) for text in said.values()]
        assert [len(one) for one in found] == [1] * len(ADAPTERS), said
        names[tree.folder.name] = [name for [name] in found]
        for text in said.values():
            assert re.search(r"dialout|GROUP \d+", text)
    assert names["first"] == names["second"]
    assert len(set(names["first"])) == len(ADAPTERS)
    for socket, name in enumerate(names["first"], 1):
        assert re.fullmatch(rf"/dev/shouwang/platform-[\w-]+-usb-0_1_{socket}_1_0", name)
        assert not rules.UNSTABLE_PORT.fullmatch(name)


def test_two_ports_of_one_interface_and_the_boards_own_have_names_of_their_own(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "sys")
    hub = board(tree, PI4)
    tree.usb(hub, "1-1.4", "pl2303", vendor="067b", product="2303", tty="ttyUSB0")
    tree.port(f"{hub}/1-1.4/1-1.4:1.0", "pl2303", "ttyUSB1", port="1")
    for address, driver, tty in (("fe201000", "uart-pl011", "ttyAMA0"), ("fe215040", "bcm2835-aux-uart", "ttyS0")):
        tree.put("devices/platform/soc", "platform")
        tree.tty(tree.put(f"devices/platform/soc/{address}.serial", "platform", driver=driver), tty)
    tree.tty(tree.put("devices/platform/serial8250", "platform", driver="serial8250"), "ttyS1")
    found = {tty: ours(text) for tty, text in tree.asked().items()}
    assert [len(found[tty]) for tty in ("ttyUSB0", "ttyUSB1", "ttyAMA0", "ttyS0")] == [1] * 4
    assert len({name for names in found.values() for name in names}) == 4
    assert found["ttyUSB1"] == [f"{found['ttyUSB0'][0]}-port1"]
    assert "fe201000" in found["ttyAMA0"][0]
    assert found["ttyS1"] == []  # of a PC, where several have one path


def test_an_adapter_is_kept_awake_and_nothing_else_is(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "sys")
    hub = board(tree, PI4)
    tree.usb(hub, "1-1.1", "ch341", vendor="1a86", product="7523", tty="ttyUSB0")
    tree.usb(hub, "1-1.2", "option", vendor="12d1", product="1001", tty="ttyUSB1")
    tree.asked(f"{hub}/1-1.1", f"{hub}/1-1.2")
    controls = [(tree.folder / hub / f"1-1.{one}/power/control").read_text()[:2] for one in (1, 2)]
    assert controls == ["on", "au"]  # a file keeps what "on" does not cover
