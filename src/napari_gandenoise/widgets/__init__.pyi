# What can be imported from here and where it lives: a checker reads this, and `__init__.py` when a name is first used.

from .batch import BatchWidget as BatchWidget
from .columns import ColumnsWidget as ColumnsWidget
from .compare import CompareWidget as CompareWidget
from .denoise import DenoiseWidget as DenoiseWidget
from .restore import RestoreWidget as RestoreWidget
from .simulate import SimulateWidget as SimulateWidget
from .train import TrainWidget as TrainWidget
from .viewer.mask import mask_of as mask_of
from .workbench import Workbench as Workbench
