"""What is stored of each event beside the results of area detectors."""

from smalldata_ana.event_data.event_data import EventData
from smalldata_ana.event_data.parameters import EventParameters

__all__ = ["EventData", "EventParameters"]
