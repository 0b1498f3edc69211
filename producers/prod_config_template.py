"""Parameters of the producer as Python, for those who prefer it to the parameter file.

Copy this file to ``prod_config_<name>.py``, change it, and give it to the producer:

    python producers/smd_producer.py -r 12 -e <experiment> --config <the file>

Each function gets the number of the run and returns a value for each detector.  They
are called before the first event, and everything is checked then: a parameter that does
not exist is an error that names the nearest one.  The functions have the names of
LCLS-II's producer; those of LCLS-I (getAzIntParams, getDetSums, ...) are read as well.
A function that is not needed can go.

The parameter file can say all of this, and a session writes it for you.  This file is
executed: take it from nobody whom you do not trust.

For functions of your own, define detectors by hand.  A detector of the same name is not
made from the other functions then, and ``ds`` is there without being imported.  Copy
this to the end of the file (docs/own_function.md explains such a class):

    from smalldata_ana import DetObject, DetObjectFunc, checkDet

    class Brightest(DetObjectFunc):
        def process(self, data):
            return {"value": float(data.max())}

    def define_dets(run):
        dets = []
        if checkDet(ds.env(), "epix100"):
            det = DetObject("epix100", ds.env(), run)
            det.addFunc(Brightest(name="brightest"))
            dets.append(det)
        return dets
"""
# ruff: noqa: N802, N816 (the names are smalldata_tools')

# The detectors that take part, by their names in the DAQ.  One that a run does not have
# is left out of it, with a warning.
detectors = ["jungfrau1M", "epix100"]

# EPICS values: of each event, and once for the run.  [process variable, name] renames.
epicsPV = []
epicsOncePV = []

# Polynomial from the time tool's position [pixel] to the arrival time [ps]; empty: the
# time that the time tool tells.
ttCalib = []


def getROIs(run):
    """Return regions of interest: a list for each detector; see `ROIFunc`."""
    rois = {}
    if run >= 1:
        rois["jungfrau1M"] = [
            {
                "name": "ROI_0",
                "ROI": [[0, 1], [100, 120], [50, 60]],
                "writeArea": False,
                "proj_ax": [{"axis": 0}],
            }
        ]
    return rois


def get_azav(run):
    """Return azimuthal averages: one for each detector; see `azimuthalBinning`."""
    return {
        "jungfrau1M": {
            "center": [0.0, 0.0],  # [um]
            "dis_to_sam": 80.0,  # [mm]
            "eBeam": 9.5,  # [keV]
            "qbin": 0.02,  # [1/A]
            "phiBins": 11,
            "polarization": "horizontal",
        }
    }


def get_droplet2photon(run):
    """Return droplets and photons; see `dropletFunc` and `droplet2Photons`."""
    return {
        "epix100": {
            "droplet": {"threshold": 6.0, "thresholdLow": 3.0},
            "d2p": {"aduspphot": 9.5},
            "nData": 1000,
        }
    }


def get_sum_algos(run):
    """Return sums over the run: keys for each detector, or for 'all' of them."""
    return {"all": ["calib"]}


def get_intg(run):
    """Return integrating detectors: the slowest, and a list of the others."""
    return None, []
