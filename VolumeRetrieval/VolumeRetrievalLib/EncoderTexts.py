"""How encoders, their weights and the terms of these are put into words. Some texts are rich: they hold links."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from slicer.i18n import tr as _

from . import Texts
from .LogicProtocol import EncoderChoice, WeightsInfo


def title(name: str) -> str:
    """What an encoder is called in the panel."""
    from VolumeRetrievalEngine.encoders.catalog import CATALOG

    if name == "descriptor":
        return _("Descriptor (needs no packages)")
    if name == "radiology-resnet":
        return _("Radiology ResNet (comes with the extension)")
    if name == "torchscript":
        return _("TorchScript network (a file of your own)")
    return CATALOG[name].title if name in CATALOG else name.replace("monai:", "MONAI ")


def short(title: str) -> str:
    """Without what stands in brackets."""
    return title.partition(" (")[0]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def problem(missing: Sequence[str], weights: WeightsInfo | None) -> str:
    """Why an encoder cannot run here; "" if it can."""
    if missing:
        return _("needs {packages}").format(packages=", ".join(missing))
    if weights is not None and weights.state != "installed":
        return _("its weights are not installed")
    return ""


def state(choice: EncoderChoice) -> str:
    """One or two words for the table."""
    weights = choice.weights
    if weights.state == "installed":
        return _("needs {packages}").format(packages=", ".join(choice.missing)) if choice.missing else _("installed")
    if weights.state == "partial":
        return _("begun")
    if weights.state == "damaged":
        return _("damaged")
    return _("not installed") if weights.address else _("on request")


def stateDetails(choice: EncoderChoice) -> str:
    """The same as a sentence, for the tooltip."""
    weights = choice.weights
    sentences = {
        "installed": _("Its weights are installed."),
        "partial": _("A download was stopped: Install goes on from there."),
        "damaged": weights.problem,
    }
    found = [sentences.get(weights.state) or notDownloadable(weights) or _("Its weights can be downloaded.")]
    if choice.missing:
        found.append(
            _("Python packages are missing: {packages}. Slicer's Python console installs one with {command}.").format(
                packages=", ".join(choice.missing), command=f'slicer.packaging.pip_install("{choice.missing[0]}")'
            )
        )
    return " ".join(found)


def size(weights: WeightsInfo) -> str:
    return Texts.size(weights.sizeBytes) if weights.sizeBytes else _("not stated")


def commercial(weights: WeightsInfo) -> str:
    if weights.commercial is None:
        return _("unclear")
    return _("yes") if weights.commercial else _("no")


def notDownloadable(weights: WeightsInfo) -> str:
    """Why it can only be installed from a file; "" if it can be downloaded."""
    if weights.address:
        return ""
    if weights.requestAddress:
        text = _("The weights are handed out on request: ask for them at {address}, then install them from the file.")
        return text.format(address=weights.requestAddress)
    return _("There is no address to download the weights from: install them from a file.")


def details(choice: EncoderChoice) -> str:
    """What there is to know of one, as rich text."""
    weights = choice.weights
    lines = [f"<b>{escape(choice.title)}</b>. {escape(stateDetails(choice))}", _terms(weights)]
    lines += [escape(one) for one in weights.cautions]
    lines.append(escape(weights.citation))
    return "<br>".join(lines)


def consent(choice: EncoderChoice, file: str = "") -> str:
    """The question before weights are installed, as rich text: what, how much, under which terms, from where."""
    weights = choice.weights
    if file:
        what = _("Install the weights of {title} from this file?")
        origin = escape(file)
    else:
        what = _("Download and install the weights of {title}?")
        origin = _link(weights.address)
    paragraphs = [
        f"<b>{escape(what.format(title=choice.title))}</b>",
        _("Size: {size}").format(size=escape(size(weights))) + "<br>" + _("From: {origin}").format(origin=origin),
        _terms(weights),
    ]
    if not weights.isVerified:
        paragraphs.append("<b>" + _("These weights are unverified.") + "</b>")
    paragraphs += [escape(one) for one in weights.cautions]
    paragraphs.append(_("With OK you agree to the licence of the weights; this is remembered in the weights folder."))
    return "".join(f"<p>{one}</p>" for one in paragraphs)


def consentNeeded(choice: EncoderChoice) -> str:
    """For scripts, which are not asked."""
    weights = choice.weights
    text = _(
        "The weights of {title} ({size}) come under the licence {license} ({url}); commercial use: {commercial}. If "
        "you agree to it, say so with consent=True."
    )
    return text.format(
        title=choice.title,
        size=size(weights),
        license=weights.license,
        url=weights.licenseUrl,
        commercial=commercial(weights),
    )


def _terms(weights: WeightsInfo) -> str:
    license = escape(weights.license)
    if weights.licenseUrl:
        license += f" ({_link(weights.licenseUrl)})"
    use = {
        True: _("Commercial use is allowed."),
        False: _("Commercial use is not allowed."),
        None: _("Whether commercial use is allowed is not clear."),
    }[weights.commercial]
    return _("Licence: {license}. {use}").format(license=license, use=use)


def _link(address: str) -> str:
    return f'<a href="{escape(address, quote=True)}">{escape(address)}</a>'
