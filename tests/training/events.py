"""What TensorBoard reads in a folder of event files."""

import io

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


class Events:
    """Scalars, texts and images by their tags: `(step, value)` each."""

    def __init__(self, folder):
        everything = {"scalars": 0, "tensors": 0, "images": 0}
        self._found = EventAccumulator(str(folder), size_guidance=everything).Reload()
        self.tags = {kind: sorted(self._found.Tags()[kind]) for kind in everything}

    def scalars(self, tag):
        return [(one.step, one.value) for one in self._found.Scalars(tag)]

    def texts(self, tag):
        found = self._found.Tensors(f"{tag}/text_summary")
        return [(one.step, one.tensor_proto.string_val[0].decode()) for one in found]

    def images(self, tag):
        if tag not in self.tags["images"]:
            return []
        found = self._found.Images(tag)
        return [
            (one.step, np.asarray(Image.open(io.BytesIO(one.encoded_image_string))))
            for one in found
        ]


events = Events
