# What the folder hands out, each name loaded on its first use.
from .claims import lens_claims as lens_claims
from .copying import OvCircuits as OvCircuits
from .copying import copied as copied
from .copying import share_below as share_below
from .following import readings_after as readings_after
from .lens import logit_lens as logit_lens
from .logits import direct_logit_attribution as direct_logit_attribution
from .states import run_noted as run_noted
from .study import LensStudy as LensStudy
from .study import TokenReading as TokenReading
from .study import lens_study as lens_study
from .writing import HeadWriting as HeadWriting
from .writing import head_writing as head_writing
