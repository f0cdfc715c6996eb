"""The mark by which a PDF says that it is a Factur-X file, in its metadata (XMP). Pure.

The layout cannot write it. So the metadata is added to the finished file once more, as PDF's incremental updates do:
all bytes of before stay, and a new table of objects names the new place of one.
"""

import re

FILE_NAME = "factur-x.xml"
_SPACE = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES = {
    "DocumentFileName": (FILE_NAME, "The name of the embedded XML document"),
    "DocumentType": ("INVOICE", "The type of the hybrid document in capital letters"),
    "Version": ("1.0", "The version of the standard applying to the embedded XML document"),
    "ConformanceLevel": ("EN 16931", "The conformance level of the embedded XML document"),
}
_MARK = (
    f'<rdf:Description rdf:about="" xmlns:fx="{_SPACE}">'
    + "".join(f"<fx:{name}>{value}</fx:{name}>" for name, (value, _) in _PROPERTIES.items())
    + "</rdf:Description>"
).encode()
_SCHEMA = (
    '<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>'
    f"<pdfaSchema:namespaceURI>{_SPACE}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>"
    "<pdfaSchema:property><rdf:Seq>"
    + "".join(
        f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{words}</pdfaProperty:description></rdf:li>"
        for name, (_, words) in _PROPERTIES.items()
    )
    + "</rdf:Seq></pdfaSchema:property></rdf:li>"
).encode()
_SCHEMAS_END, _END = b"</rdf:Bag></pdfaExtension:schemas>", b"</rdf:RDF>"
_ENTRY = 20
"""Bytes of a line in the table of objects."""


def marked(pdf: bytes) -> bytes:
    """The file with the mark. Its table of objects is plain, as typst writes it."""
    start = int(_last(pdf, rb"startxref\s+(\d+)")[1])
    trailer = pdf[pdf.rindex(b"trailer") :]
    root = _object(pdf, start, int(_first(trailer, rb"/Root (\d+) 0 R")[1]))
    number = int(_first(root, rb"/Metadata (\d+) 0 R")[1])
    old = _object(pdf, start, number)
    head = _first(old, rb"/Length (\d+)[^>]*>>\s*stream\r?\n")
    xmp = old[head.end() : head.end() + int(head[1])]
    assert xmp.count(_SCHEMAS_END) == xmp.count(_END) == 1, "texts are escaped in XMP"
    xmp = xmp.replace(_SCHEMAS_END, _SCHEMA + _SCHEMAS_END).replace(_END, _MARK + _END)
    new = b"%d 0 obj\n<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream\nendobj\n" % (
        number,
        len(xmp),
        xmp,
    )
    before = pdf if pdf.endswith(b"\n") else pdf + b"\n"
    table = b"xref\n%d 1\n%010d 00000 n \n" % (number, len(before))
    again = _first(trailer, rb"<<(.*)>>\s*startxref", re.DOTALL)[1]
    ending = b"trailer\n<<%s/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (again, start, len(before) + len(new))
    return before + new + table + ending


def _object(pdf: bytes, start: int, number: int) -> bytes:
    """The object and all that comes after it, by the table that begins at `start`."""
    head = re.compile(rb"xref\s+0 (\d+)\s*?\n").match(pdf, start)
    assert head is not None and number < int(head[1])
    entry = head.end() + number * _ENTRY
    return pdf[int(pdf[entry : entry + 10]) :]


def _first(text: bytes, pattern: bytes, flags: int = 0) -> re.Match[bytes]:
    found = re.search(pattern, text, flags)
    assert found is not None, pattern
    return found


def _last(text: bytes, pattern: bytes) -> re.Match[bytes]:
    return list(re.finditer(pattern, text))[-1]
