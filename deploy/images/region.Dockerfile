# The region image: Ray, torch and diffusers. The same image runs the Ray head, the workers and
# the agent: docker build -f deploy/images/region.Dockerfile .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/reelmesh
COPY constraints.txt pyproject.toml README.md ./
RUN /opt/reelmesh/bin/pip install --constraint constraints.txt torch==2.13.0
COPY protos protos
COPY third_party third_party
RUN python -m venv /opt/tools \
    && /opt/tools/bin/pip install --constraint constraints.txt grpcio-tools mypy-protobuf googleapis-common-protos \
    && /opt/tools/bin/python protos/generate.py
COPY meshkit meshkit
COPY platform_svc platform_svc
COPY business_svc business_svc
COPY inference inference
COPY gateway gateway
COPY deploy deploy
RUN /opt/reelmesh/bin/pip install --constraint constraints.txt ./protos ".[region]"

FROM ${PYTHON_IMAGE}
# Ray and diffusers keep state under the home folder.
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin reelmesh
COPY --from=build /opt/reelmesh /opt/reelmesh
ENV PATH=/opt/reelmesh/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    RAY_USAGE_STATS_ENABLED=0 HF_HUB_OFFLINE=1
USER 10001
WORKDIR /home/reelmesh
ENTRYPOINT ["python", "-m", "inference.regions.agent"]
