"""The page for pictures: what the heads of a vision model attend to in an uploaded picture."""

from __future__ import annotations

import streamlit as st

from introspect.app.cached import page_of_picture
from introspect.app.display import embed, say
from introspect.app.form import typed_name
from introspect.app.uploads import MOST_PICTURE_BYTES, PICTURES, Upload


def draw() -> None:
    """Draw the choice of a model and a picture, and the picture with the heads."""
    with st.sidebar:
        name = typed_name("picture model", say("Model of pictures: hub id or folder"))
        file = st.file_uploader(
            say("Picture"), PICTURES, key="picture", max_upload_size=MOST_PICTURE_BYTES >> 20
        )
    if name is None or file is None:
        st.info(
            say(
                "Choose a picture, and name a model that reads pictures, such as "
                "google/vit-base-patch16-224 or a folder of this machine."
            )
        )
        return
    embed(page_of_picture(name, Upload(file.name, file.getvalue())), say("Image view"))


if __name__ == "__main__":
    draw()
