"""Energy of on-chip SRAM."""

import functools
import importlib.resources
import json

from tfmp.checks import check_choice, check_integer


def sram_energy_nj_per_bit(bank_bytes: int, read_write_ports: int = 0) -> tuple[float, float]:
    """Looks up the energy per bit of an SRAM that is built of equal banks, 45 nm.

    Args:
        bank_bytes: Bytes in one bank, which is read and written in words of 4 bytes.
        read_write_ports: Number of read/write ports, in addition to one read port and one write port.

    Returns:
        Energy to read and to write one bit, nJ.

    Raises:
        ValueError: If there is no entry for this bank.

    Reference: CACTI 7.0.3DD, tabulated in `sram_45nm.json`
    """
    check_integer("bank_bytes", bank_bytes, at_least=1)
    check_choice("read_write_ports", read_write_ports, (0, 1))
    entries = _table()
    if (bank_bytes, read_write_ports) not in entries:
        sizes = ", ".join(str(size) for size, ports in entries if ports == read_write_ports)
        raise ValueError(
            f"There is no SRAM energy for banks of {bank_bytes} bytes. Bank sizes in the table, bytes: {sizes}. "
            "Choose a buffer of such banks, or give its read and write energies."
        )
    return entries[bank_bytes, read_write_ports]


@functools.cache
def _table() -> dict[tuple[int, int], tuple[float, float]]:
    text = importlib.resources.files("tfmp.simulator.bit_fusion").joinpath("sram_45nm.json").read_text(encoding="utf-8")
    content = json.loads(text)
    word_bits = 8 * content["word_bytes"]["value"]
    return {
        (bank["bank_bytes"], bank["read_write_ports"]): (
            bank["read_nj_per_word"] / word_bits,
            bank["write_nj_per_word"] / word_bits,
        )
        for bank in content["banks"]
    }
