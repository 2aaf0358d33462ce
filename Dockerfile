# CPU:  docker build -t kerascifar .
#       docker run --rm -it -v kerascifar-home:/root -v "$PWD/runs:/kerascifar/runs" -v "$PWD/report:/kerascifar/report" \
#           kerascifar make experiment1
# GPU:  docker build -t kerascifar --build-arg LOCK=requirements-gpu.lock . && docker run --gpus all …
# The volume kerascifar-home keeps CIFAR-10. `make report` writes report/; open it on the host, where `make serve` is not
# seen.
FROM python:3.12-slim-bookworm
ARG LOCK=requirements.lock
RUN apt-get update && apt-get install -y --no-install-recommends git graphviz make wget && rm -rf /var/lib/apt/lists/*
WORKDIR /kerascifar
COPY requirements*.lock ./
# The environment that `make` uses, with the lock that was chosen: no driver is seen while an image is built.
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r $LOCK
COPY . .
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . && \
    echo "Ready: installed from $LOCK in an image." > .venv/ready
# Also for those who start the image with another PATH or with Ray's own commands (docs/cluster.md).
ENV PATH=/kerascifar/.venv/bin:$PATH
RUN ln -s /kerascifar/.venv/bin/ray /kerascifar/.venv/bin/kerascifar /usr/local/bin/
CMD ["make"]
