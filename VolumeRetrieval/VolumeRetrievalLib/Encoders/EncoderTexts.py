"""How encoders, their weights and the terms of these are put into words. Some texts are rich: they hold links."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from slicer.i18n import tr as _
from VolumeRetrievalEngine.readable import readable_size

from ..Packages.PackageInstaller import NEED_TORCH, SMALL
from ..Values import EncoderChoice, IndexReport, WeightsInfo


def title(name: str) -> str:
    """What an encoder is called in the panel."""
    from VolumeRetrievalEngine.encoders.catalog import CATALOG

    if name == "descriptor":
        return _("Descriptor (needs no packages)")
    if name == "radiology-resnet":
        return _("Radiology ResNet (bundled)")
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
    if weights is not None and weights.alsoNeeded:
        return _("also needs the weights of {encoders}").format(encoders=_titles(weights.alsoNeeded))
    return ""


def state(choice: EncoderChoice) -> str:
    """One or two words for the table."""
    weights = choice.installable
    if weights.state == "installed":
        return (
            _("needs {packages}").format(packages=", ".join(choice.missing)) if choice.missing else _installed(weights)
        )
    if weights.state == "partial":
        return _("started")
    if weights.state == "damaged":
        return _("damaged")
    if weights.address:
        return _("available")
    return _("on request") if weights.requestAddress else _("from a file")


def _installed(weights: WeightsInfo) -> str:
    return _("incomplete") if weights.alsoNeeded else _("installed")


def stateDetails(choice: EncoderChoice) -> str:
    """The same as a sentence, for the tooltip."""
    weights = choice.installable
    sentences = {
        "installed": _("Its weights are installed."),
        "partial": _("A download was stopped: Install resumes it."),
        "damaged": weights.problem,
    }
    found = [sentences.get(weights.state) or notDownloadable(weights) or _("Its weights can be downloaded.")]
    if weights.state == "installed" and not weights.isChecked:
        found.append(_("Whether they fit this network is checked once PyTorch is installed to load them."))
    if weights.alsoNeeded:
        found.append(_("It also needs the weights of {encoders}.").format(encoders=_titles(weights.alsoNeeded)))
    if choice.missing:
        found.append(_missing(choice.missing))
    return " ".join(found)


def _missing(packages: Sequence[str]) -> str:
    """How to get the packages: most come with what the panel installs."""
    others = [one for one in packages if one not in ("torch", *SMALL, *NEED_TORCH)]
    text = _("Python packages are missing: {packages}. Install them in the section Advanced.")
    if others:
        text = _("Python packages are missing: {packages}. In Slicer's Python console, {command} installs the last.")
        packages = [*(one for one in packages if one not in others), *others]
    command = f'slicer.packaging.pip_install("{others[-1]}")' if others else ""
    return text.format(packages=", ".join(packages), command=command)


def size(weights: WeightsInfo) -> str:
    """ "88 MB"; "" if it is not known."""
    return readable_size(weights.sizeBytes) if weights.sizeBytes else ""


def dimension(weights: WeightsInfo) -> str:
    """ "384"; "" if it depends on the file."""
    return str(weights.dimension) if weights.dimension else ""


def commercial(weights: WeightsInfo) -> str:
    if weights.commercial is None:
        return _("unclear")
    return _("yes") if weights.commercial else _("no")


def notDownloadable(weights: WeightsInfo) -> str:
    """Why it can only be installed from a file; "" if it can be downloaded."""
    if weights.address:
        return ""
    if weights.requestAddress:
        text = _("The weights cannot be downloaded from here: get them at {address}, then install them from the file.")
        return text.format(address=weights.requestAddress)
    return _("There is no address to download the weights from: install them from a file.")


def details(choice: EncoderChoice) -> str:
    """What there is to know of one, as rich text."""
    weights = choice.installable
    lines = [f"<b>{escape(choice.title)}</b>. {escape(stateDetails(choice))}", _terms(weights)]
    lines += [escape(one) for one in weights.cautions]
    lines.append(escape(weights.citation))
    return "<br>".join(lines)


def consent(choice: EncoderChoice, file: str = "", also: Sequence[EncoderChoice] = ()) -> str:
    """The question before weights are installed, as rich text: what, how much, under which terms, from where; `also`
    are the encoders whose weights are installed with them."""
    question = _("Install the weights of {title} from a file?") if file else _("Install the weights of {title}?")
    paragraphs = ["<b>" + escape(question.format(title=choice.title)) + "</b>", *_offer(choice, file)]
    for one in also:
        text = _("It also needs the weights of {title}, which are installed, too.")
        paragraphs += ["<b>" + escape(text.format(title=one.title)) + "</b>", *_offer(one)]
    text = _("By pressing OK you agree to these terms. Your consent is remembered in the weights folder.")
    return "".join(f"<p>{one}</p>" for one in (*paragraphs, text))


def _offer(choice: EncoderChoice, file: str = "") -> list[str]:
    """One encoder's weights, in paragraphs."""
    weights = choice.installable
    known = size(weights) or _("not stated by the publisher")
    origin = escape(file) if file else _link(weights.address)
    facts = [
        _("Size: {size}").format(size=escape(known)),
        _("From: {origin}").format(origin=origin),
        _terms(weights),
    ]
    mark = [] if weights.isVerified else ["<b>" + _("These weights are unverified.") + "</b>"]
    return ["<br>".join(facts), *mark, *(escape(one) for one in weights.cautions)]


def consentNeeded(choices: Sequence[EncoderChoice]) -> str:
    """For scripts, which are not asked."""
    terms = _("The weights of {title} ({size}) come under the license {license} ({url}); commercial use: {commercial}.")
    sentences = [
        terms.format(
            title=one.title,
            size=size(one.installable) or _("size not stated"),
            license=one.installable.license,
            url=one.installable.licenseUrl,
            commercial=commercial(one.installable),
        )
        for one in choices
    ]
    return " ".join([*sentences, _("If you agree, pass consent=True.")])


def ran(report: IndexReport) -> str:
    """Which encoder ran, through what, and why no better one; "" if that is not known."""
    if not report.encoder:
        return ""
    name = short(title(report.encoder))
    text = (
        _("{encoder} was run by {library}.").format(encoder=name, library=report.backend)
        if report.backend
        else _("{encoder} was used.").format(encoder=name)
    )
    return " ".join(one for one in (text, sentence(report.reason)) if one)


def _titles(names: Sequence[str]) -> str:
    return ", ".join(title(name) for name in names)


def _terms(weights: WeightsInfo) -> str:
    license = escape(weights.license)
    if weights.licenseUrl:
        license += f" ({_link(weights.licenseUrl)})"
    use = {
        True: _("Commercial use is allowed."),
        False: _("Commercial use is not allowed."),
        None: _("It is unclear whether commercial use is allowed."),
    }[weights.commercial]
    return _("License: {license}. {use}").format(license=license, use=use)


def _link(address: str) -> str:
    return f'<a href="{escape(address, quote=True)}">{escape(address)}</a>'
