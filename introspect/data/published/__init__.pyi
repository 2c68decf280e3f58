# What the folder hands out, each name loaded on its first use.
from .bug import read_bug as read_bug
from .cluster_forms import OFFSETS as OFFSETS
from .clusters import read_clusters as read_clusters
from .conll2012 import read_conll2012 as read_conll2012
from .corefud import read_corefud as read_corefud
from .dpr import read_dpr as read_dpr
from .forms import form_of as form_of
from .knowref import read_knowref as read_knowref
from .options import ClusterOptions as ClusterOptions
from .pronouns import PRONOUNS as PRONOUNS
from .winogrande import read_winogrande as read_winogrande
from .wsc import read_wsc as read_wsc
