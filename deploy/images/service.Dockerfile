# One image a part: docker build -f deploy/images/service.Dockerfile --build-arg PART=platform .
# PART is "platform", "business" or "inference".
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG PART=platform
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/reelmesh
COPY constraints.txt pyproject.toml README.md ./
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
RUN /opt/reelmesh/bin/pip install --constraint constraints.txt ./protos ".[${PART}]"

FROM ${PYTHON_IMAGE}
ARG PART=platform
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin reelmesh
COPY --from=build /opt/reelmesh /opt/reelmesh
COPY deploy/images/entrypoint.py /opt/reelmesh/entrypoint.py
ENV PATH=/opt/reelmesh/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 REELMESH_PART=${PART}
USER 10001
EXPOSE 50051 9464
ENTRYPOINT ["python", "/opt/reelmesh/entrypoint.py"]
