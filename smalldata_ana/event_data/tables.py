"""Under which names the scalars of a run are stored.

The names are those of smalldata_tools.  What the tables do not name keeps its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEFT_OUT = ("timing/timestamp", "timing/eventcodes")
"""What is stored in another form: the time of the event, and ``evr/code_<n>``."""

NOT_DETECTORS = ("epics", "scan")
"""Groups of scalars that do not come from a detector."""


@dataclass(frozen=True)
class Name:
    """What a field of a detector is called.

    Attributes
    ----------
    name : of the dataset, below the detector's group
    unit : if the run does not tell it
    meaning : what it is
    """

    name: str
    unit: str = ""
    meaning: str = ""


GROUPS = {"gasdet": "gas_detector", "ebeamh": "ebeam"}
"""The group of a detector, if it is not the detector's own name."""

SCALARS = {
    "lxt_fast_enc/value": (
        "enc/lasDelay",
        Name("lasDelay", "ps", "delay of the laser by its encoder"),
    ),
}
"""Single scalars: the path of their dataset, and what they are."""

UNITS = {"lxt": "s", "lxt_ttc": "s", "txt": "s"}
"""Units of EPICS values and variables of scans that are the same at all hutches."""

MONITOR = {
    "totalIntensityJoules": Name("sum", "J", "pulse energy at the monitor"),
    "xPositionMeters": Name("xpos", "m", "horizontal position of the beam"),
    "yPositionMeters": Name("ypos", "m", "vertical position of the beam"),
    "peakA": Name("peaks", "", "height of the pulse in each channel"),
}
"""A beam monitor: ``<monitor>/sum`` and so on."""

GAS_DETECTOR = {
    f"f{number}ENRC": Name(f"f_{number}_ENRC", "mJ", "pulse energy at a gas detector")
    for number in (11, 12, 21, 22, 63, 64)
}

EBEAM = {
    "ebeamPhotonEnergy": Name("photon_energy", "eV", "photon energy"),
    "ebeamCharge": Name("charge", "nC", "bunch charge"),
    "ebeamDumpCharge": Name("dump_charge", "e", "bunch charge at the dump"),
    "ebeamL3Energy": Name("L3_energy", "MeV", "electron energy after linac 3"),
    "ebeamLTU250": Name("LTU_250", "mm", "position monitor LTU 250"),
    "ebeamLTU450": Name("LTU_450", "mm", "position monitor LTU 450"),
    "ebeamLTUAngX": Name("LTU_ang_x", "mrad", "angle after the linac"),
    "ebeamLTUAngY": Name("LTU_ang_y", "mrad", "angle after the linac"),
    "ebeamLTUPosX": Name("LTU_pos_x", "mm", "position after the linac"),
    "ebeamLTUPosY": Name("LTU_pos_y", "mm", "position after the linac"),
    "ebeamPkCurrBC2": Name("pk_curr_bc2", "A", "peak current after compressor 2"),
    "ebeamUndAngX": Name("und_ang_x", "mrad", "angle in the undulator"),
    "ebeamUndAngY": Name("und_ang_y", "mrad", "angle in the undulator"),
    "ebeamUndPosX": Name("und_pos_x", "mm", "position in the undulator"),
    "ebeamUndPosY": Name("und_pos_y", "mm", "position in the undulator"),
    "ebeamXTCAVAmpl": Name("XTCAV_ampl", "MV", "amplitude of the XTCAV"),
    "ebeamXTCAVPhase": Name("XTCAV_phase", "degree", "phase of the XTCAV"),
}

FIELDS: Mapping[str, Name] = MONITOR | GAS_DETECTOR | EBEAM
"""Names of fields that mean the same wherever they are."""

EPICS: Mapping[str, tuple[str, ...]] = {
    "xpp": (
        "att_T", "att_T3rd", "slit_s1_hw", "slit_s1_vw", "slit_s2_hw", "slit_s2_vw",
        "slit_s3_hw", "slit_s3_vw", "slit_s4_hw", "slit_s4_vw", "lxt_vitara", "lxt",
        "lxt_ttc", "lxe", "ccm_E", "lom_E", "lom_EC", "gon_v", "gon_h", "gon_r",
        "gon_x", "gon_y", "gon_z", "gon_roll", "gon_pitch", "gon_kappa_eta",
        "gon_kappa_kappa", "gon_kappa_phi", "gon_kappa_samx", "gon_kappa_samy",
        "gon_kappa_samz", "gon_sam_phi", "gon_sam_z", "robot_x", "robot_y", "robot_z",
        "robot_rx", "robot_ry", "robot_rz", "robot_azi", "robot_ele", "robot_rad",
        "las_comp_wp", "las_opa_wp", "las_drift_correction",
    ),
    "xcs": (
        "att_T", "att_T3rd", "ccm_E", "lom_E", "diff_phis", "diff_th", "diff_tth",
        "diff_xs", "diff_ys", "diff_zs", "diff_x", "diff_y", "diff_chis", "diff_dety",
        "ladm_theta", "lam_z", "lam_x1", "lam_x2", "lam_y1", "lam_y2", "lam_det_y",
        "lam_det_x", "las_comp_wp", "las_opa_wp", "las_drift_correction",
        "lxt_vitara", "lxt", "lxt_ttc", "lxe",
    ),
    "mfx": (
        "atten_trans1", "atten_trans3", "fee_Attenuator_transmission", "lens_energy",
        "BeamMonitor_target", "Dg1Ipm_target", "lxt", "txt",
    ),
    "cxi": (
        "dia_trans1", "dia_trans3", "atc_trans1", "atc_trans3", "laser_time_target",
        "lxt", "las_uv_waveplate", "las_evo_waveplate", "las_drift_correction",
    ),
    "mec": (
        "belens_z", "MEC:NOTE:LAS:NSDELAY", "MEC:NS1:MMS:01.RBV",
        "MEC:NS1:MMS:02.RBV", "MEC:LAS:MMN:30.RBV", "MEC:LAS:MMN:29.RBV",
        "MEC:PPL:MMS:09.RBV", "MEC:USR:MMS:17.RBV", "MEC:LAS:DDG:05:aDelaySI",
        "MEC:LAS:DDG:05:eDelaySI", "SIOC:SYS0:LM00:AO627", "MEC:TC1:GCC:01:PMON",
        "MEC:TC1:GPI:01:PMON", "MEC:TC1:VGC:01:OPN_OK", "MEC:TC1:VGC:02:OPN_OK",
    ),
    "tmo": ("MR1K4_pitch", "MR2K4_pitch"),
    "ued": ("MOTR_AS01_MC05_CH1", "MOTR_AS01_MC06_CH6"),
}  # fmt: skip
"""EPICS values that are stored for each event by hutch, where the run has them."""
