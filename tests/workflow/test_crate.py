"""The report's crate is made on wish alone, of what is there."""

import zipfile

CRATE = "results/report.crate.zip"


def test_the_crate_packs_what_is_there_and_raw_episodes_on_wish(copied):
    assert copied.plan() == {}  # nobody asked for it
    assert copied.plan(CRATE) == {"crate": 1}
    copied.config += "report: {crate: episodes}\n"
    copied.build(CRATE)
    with zipfile.ZipFile(copied.folder / CRATE) as archive:
        names = archive.namelist()
        assert archive.read("config.yaml").decode() == copied.config
        page = archive.read("results/report.html")
    assert page == (copied.folder / "results/report.html").read_bytes()
    raw = sorted((copied.folder / "results/datasets/demo/raw").glob("*.h5"))
    assert [f"raw/demo/{file.name}" for file in raw] == sorted(
        name for name in names if name.startswith("raw/")
    )
    assert copied.plan(CRATE) == {}
    copied.config += "# a note\n"
    assert copied.plan(CRATE) == {"crate": 1}
