"""Cells that papers of the DARTS family published, as text: operation-source, the nodes apart, a dead node empty."""

from typing import NamedTuple

from search_spaces.genotype import Edge

OPERATIONS = {
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "s3": "sep_conv_3x3",
    "s5": "sep_conv_5x5",
    "s7": "sep_conv_7x7",
    "d3": "dil_conv_3x3",
    "d5": "dil_conv_5x5",
    "c71": "conv_7x1_1x7",
}
ALL = (2, 3, 4, 5)

_DARTS = "DARTS, arXiv 1806.09055, and the authors' code (quark0/darts@f276dd34)"
_PC_DARTS = "PC-DARTS, arXiv 1907.05737, and the authors' code (yuhuixu1993/PC-DARTS@b74702f8)"
_FAIR_DARTS = "FairDARTS, arXiv 1911.12126, and the authors' code (xiaomi-automl/FairDARTS@270cfc94)"
_NOISY_DARTS = "NoisyDARTS, arXiv 2005.03566, and the authors' code (xiaomi-automl/NoisyDARTS@9885bdf9)"
_MILENAS = "MiLeNAS, arXiv 2003.12238, and the authors' code (chaoyanghe/MiLeNAS@ce91b6b8)"


class Cells(NamedTuple):
    """`cost` is (multiply-adds, params) with 36 channels and 20 cells on CIFAR-10, `top1` the authors' in percent."""

    normal: str
    reduce: str
    cost: tuple[int, int]
    top1: float | None
    source: str
    normal_concat: tuple[int, ...] = ALL
    reduce_concat: tuple[int, ...] = ALL

    def genotype(self) -> dict:
        """See `genotype.read`."""
        concat = {"normal_concat": self.normal_concat, "reduce_concat": self.reduce_concat}
        return {"normal": _edges(self.normal), "reduce": _edges(self.reduce), **concat}


def _edges(text: str) -> list[Edge]:
    nodes = enumerate(text.split("|"), start=2)
    words = [(to, *word.split("-")) for to, node in nodes for word in node.split()]
    return [Edge(OPERATIONS[operation], to, int(source)) for to, operation, source in words]


# fmt: off
CELLS = {
    "AmoebaNet": Cells(
        "avg-0 max-1 | s3-0 s5-2 | s3-0 avg-3 | s3-1 skip-1 | skip-0 avg-1",
        "avg-0 s3-1 | max-0 s7-2 | s7-0 avg-1 | max-0 max-1 | c71-0 s3-5",
        (488_931_552, 3_145_078), None, _DARTS, (4, 5, 6), (3, 4, 6),
    ),
    "DARTS_V1": Cells(
        "s3-1 s3-0 | skip-0 s3-1 | skip-0 s3-1 | s3-0 skip-2",
        "max-0 max-1 | skip-2 max-0 | max-0 skip-2 | skip-2 avg-0",
        (500_987_520, 3_169_414), 97.0, _DARTS,
    ),
    "DARTS_V2": Cells(
        "s3-0 s3-1 | s3-0 s3-1 | s3-1 skip-0 | skip-0 d3-2",
        "max-0 max-1 | skip-2 max-1 | max-0 skip-2 | skip-2 max-1",
        (528_359_040, 3_349_342), 97.24, _DARTS,
    ),
    "NASNet": Cells(
        "s5-1 s3-0 | s5-0 s3-0 | avg-1 skip-0 | avg-0 avg-0 | s3-1 skip-1",
        "s5-1 s7-0 | max-1 s7-0 | avg-1 s5-0 | skip-3 avg-2 | s3-2 max-1",
        (603_452_448, 3_830_950), None, _DARTS, (2, 3, 4, 5, 6), (4, 5, 6),
    ),
    "PC_DARTS_cifar": Cells(
        "s3-1 skip-0 | s3-0 d3-1 | s5-0 s3-1 | avg-0 d3-1",
        "s5-1 max-0 | s5-1 s5-2 | s3-0 s3-3 | s3-1 s3-2",
        (556_670_592, 3_634_678), 97.43, _PC_DARTS,
    ),
    "PC_DARTS_image": Cells(
        "skip-1 s3-0 | s3-0 skip-1 | s3-1 s3-3 | s3-1 d5-4",
        "s3-0 skip-1 | d5-2 max-1 | s3-2 s3-1 | s5-0 s3-3",
        (570_466_944, 3_721_510), None, _PC_DARTS,
    ),
    "FairDARTS_a": Cells(
        "s3-0 s5-1 | | max-0 | s3-0",
        "max-0 avg-1 | avg-0 d5-1 | avg-0 s5-1 | skip-0 skip-1",
        (371_455_200, 2_360_782), 97.46, _FAIR_DARTS,
    ),
    "FairDARTS_b": Cells(
        "s3-0 s3-1 | s3-1 | d3-0 s5-1 | d5-1",
        "skip-0 d3-1 | skip-0 d3-1 | max-0 s3-1 | skip-2 max-0",
        (536_487_552, 3_407_878), 97.49, _FAIR_DARTS,
    ),
    "FairDARTS_c": Cells(
        "max-0 s5-1 | | d3-0 d5-2 | skip-3 s3-0",
        "d3-1 d5-0 | d3-0 s3-1 | s5-0 s5-3 | s5-0 skip-1",
        (399_987_936, 2_598_814), 97.5, _FAIR_DARTS,
    ),
    "FairDARTS_d": Cells(
        "s3-0 s5-1 | d3-1 max-0 | d3-0 d3-1 | s3-0 d5-1",
        "max-0 s5-1 | avg-0 d5-2 | d3-3 avg-0 | avg-0 skip-3",
        (532_506_240, 3_365_542), 97.51, _FAIR_DARTS,
    ),
    "FairDARTS_e": Cells(
        "s3-0 s3-1 | | d3-1 d3-2 | d3-0 d5-1",
        "max-1 max-0 | max-1 max-0 | s5-1 max-0 | avg-0 d5-1",
        (414_696_672, 2_643_742), 97.47, _FAIR_DARTS,
    ),
    "FairDARTS_f": Cells(
        "max-0 s3-1 | d3-1 | s5-1 | s3-0 s3-1",
        "max-0 max-1 | max-0 d3-1 | d3-2 max-0 | max-0 s3-1",
        (497_614_464, 3_151_054), 97.35, _FAIR_DARTS,
    ),
    "FairDARTS_g": Cells(
        "s3-0 s3-1 | | skip-3 s5-1 | d3-0 s3-1",
        "avg-1 skip-0 | skip-2 max-1 | s5-3 max-0 | d3-1 d3-4",
        (453_376_224, 2_899_054), 97.46, _FAIR_DARTS,
    ),
    "PDARTS": Cells(
        "skip-0 d3-1 | skip-0 s3-1 | s3-1 s3-3 | s3-0 d5-4",
        "avg-0 s5-1 | s3-0 d5-2 | max-0 d3-1 | d3-1 d5-3",
        (532_174_464, 3_433_798), None, _FAIR_DARTS,
    ),
    "noisy_darts_a": Cells(
        "s3-1 s3-0 | skip-0 d3-2 | d3-3 s3-1 | d5-4 d3-3",
        "max-0 d5-1 | skip-2 max-0 | skip-2 skip-3 | skip-2 d5-4",
        (513_871_488, 3_257_110), 97.61, _NOISY_DARTS,
    ),
    "noisy_darts_b": Cells(
        "s3-1 s3-0 | skip-0 d5-2 | skip-0 s3-1 | d3-4 d5-3",
        "avg-0 d3-1 | skip-2 avg-0 | avg-0 skip-2 | skip-2 d5-3",
        (492_250_752, 3_097_918), 97.53, _NOISY_DARTS,
    ),
    "noisy_darts_c": Cells(
        "s3-0 s5-1 | skip-2 skip-0 | d5-3 s3-1 | s3-1 d3-4",
        "avg-0 s5-1 | avg-0 skip-2 | d5-3 avg-0 | avg-0 skip-3",
        (529_603_200, 3_337_246), 97.4, _NOISY_DARTS,
    ),
    "noisy_darts_d": Cells(
        "s3-1 s3-0 | skip-0 s5-1 | d3-3 skip-2 | d3-1 d5-4",
        "max-0 max-1 | skip-2 avg-1 | skip-2 skip-3 | skip-2 skip-3",
        (492_195_456, 3_062_062), 97.42, _NOISY_DARTS,
    ),
    "noisy_darts_e": Cells(
        "s3-1 s3-0 | s5-1 skip-0 | d3-3 s3-0 | d5-4 skip-2",
        "max-0 max-1 | skip-2 avg-0 | skip-3 skip-2 | skip-3 skip-2",
        (519_566_976, 3_241_990), 97.55, _NOISY_DARTS,
    ),
    "noisy_darts_f": Cells(
        "s3-1 s3-0 | skip-0 skip-2 | skip-0 d3-2 | d3-4 d5-3",
        "max-1 max-0 | skip-2 max-0 | d5-3 skip-2 | skip-2 skip-4",
        (428_411_520, 2_685_574), 97.18, _NOISY_DARTS,
    ),
    "noisy_darts_g": Cells(
        "s3-0 s3-1 | s3-1 skip-0 | d5-3 d5-2 | d5-4 d3-1",
        "avg-0 skip-1 | avg-0 skip-2 | avg-0 d3-3 | d5-4 avg-0",
        (528_469_632, 3_328_390), 97.49, _NOISY_DARTS,
    ),
    "noisy_darts_h": Cells(
        "s3-1 skip-0 | d5-2 s3-1 | d3-3 d3-2 | d3-4 d5-3",
        "max-0 max-1 | max-0 max-1 | d5-3 max-0 | d5-3 avg-0",
        (492_693_120, 3_101_374), 97.35, _NOISY_DARTS,
    ),
    "noisy_darts_i": Cells(
        "s3-0 s3-1 | skip-0 d3-2 | d5-3 d3-2 | d3-4 d3-3",
        "max-1 skip-0 | skip-2 avg-1 | skip-2 avg-1 | d5-3 skip-4",
        (485_808_768, 3_071_782), 97.28, _NOISY_DARTS,
    ),
    "noisy_darts_j": Cells(
        "s3-0 s3-1 | skip-1 skip-0 | d3-3 d5-2 | d5-4 d3-3",
        "max-0 s3-1 | max-0 d5-2 | skip-3 skip-2 | skip-3 skip-4",
        (467_782_272, 2_946_286), 97.21, _NOISY_DARTS,
    ),
    "r101_e50_48_n7r3": Cells(
        "s3-1 s3-0 | d3-0 s3-1 | skip-0 s3-1 | s3-0 s5-1",
        "d3-0 s3-1 | skip-2 max-0 | skip-2 d5-3 | skip-2 max-0",
        (607_542_912, 3_874_222), None, _MILENAS,
    ),
    "v2_r5_e200": Cells(
        "s3-0 skip-1 | skip-0 skip-2 | s3-0 skip-2 | max-0 skip-2",
        "max-0 max-1 | avg-0 max-1 | max-0 skip-2 | max-0 skip-2",
        (336_758_400, 2_089_846), None, _MILENAS,
    ),
}
# fmt: on
