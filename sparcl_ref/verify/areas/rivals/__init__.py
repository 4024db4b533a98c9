"""Rules of methods that stand beside SparCL, a file for each subject."""

from sparcl_ref.verify.areas.rivals import agem, er_ace, ewc, fdr, fisher, gdumb, herding, icarl, lwf, wa

FUNCTIONS = (
    *er_ace.FUNCTIONS, *agem.FUNCTIONS, *fisher.FUNCTIONS, *ewc.FUNCTIONS, *lwf.FUNCTIONS, *icarl.FUNCTIONS,
    *herding.FUNCTIONS, *wa.FUNCTIONS, *gdumb.FUNCTIONS, *fdr.FUNCTIONS,
)  # fmt: skip
