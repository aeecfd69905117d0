# The public names and where they live: a checker reads this, and `__init__.py` when a name is first used.

from .batching import (
    BatchResult as BatchResult,
    batch as batch,
    batch_steps as batch_steps,
    open_results as open_results,
)
from .comparison import CompareResult as CompareResult, compare as compare, compare_steps as compare_steps
from .denoising import (
    Adaptation as Adaptation,
    DenoiseResult as DenoiseResult,
    adapt as adapt,
    adapt_steps as adapt_steps,
    denoise as denoise,
    denoise_steps as denoise_steps,
    plan as plan,
)
from .errors import GanDenoiseError as GanDenoiseError
from .finetuning import train_cif as train_cif, train_cif_steps as train_cif_steps
from .io import read_micrograph as read_micrograph, write_tiff as write_tiff
from .locating import ColumnsResult as ColumnsResult, columns as columns, columns_steps as columns_steps
from .micrograph import Micrograph as Micrograph
from .models import list_models as list_models, load_model as load_model
from .noise import calibrate as calibrate
from .progress import Progress as Progress, drain as drain
from .recovery import recover as recover, recover_steps as recover_steps, sharpness_steps as sharpness_steps
from .restoration import RestoreResult as RestoreResult, restore as restore, restore_steps as restore_steps
from .settings.batch import BatchConfig as BatchConfig
from .settings.cif import CifTrainConfig as CifTrainConfig
from .settings.columns import ColumnsConfig as ColumnsConfig
from .settings.compare import CompareConfig as CompareConfig
from .settings.denoise import DenoiseConfig as DenoiseConfig
from .settings.noise import Gaussian as Gaussian, Poisson as Poisson, PoissonGaussian as PoissonGaussian
from .settings.recover import RecoverConfig as RecoverConfig, SharpnessConfig as SharpnessConfig
from .settings.restore import RestoreConfig as RestoreConfig
from .settings.simulate import SimulationConfig as SimulationConfig
from .settings.train import DirectTrainConfig as DirectTrainConfig, TrainConfig as TrainConfig
from .simulate import simulate_micrograph as simulate_micrograph, simulate_steps as simulate_steps
from .training import train_steps as train_steps

__version__: str
