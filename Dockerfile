# Builds with the classic builder as well as with BuildKit. Base image: any Python 3.11 or newer with pip and venv.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /opt/aiagent-operator
COPY requirements.lock ./
# Exactly the locked files, by hash; nothing is compiled.
RUN /opt/aiagent-operator/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY operator/aiagent_operator /opt/aiagent-operator/app/aiagent_operator
RUN /opt/aiagent-operator/bin/python -m compileall -q /opt/aiagent-operator/app \
 && /opt/aiagent-operator/bin/pip uninstall -q -y pip setuptools

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/aiagent-operator /opt/aiagent-operator
ENV PATH=/opt/aiagent-operator/bin:$PATH \
    PYTHONPATH=/opt/aiagent-operator/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "aiagent_operator"]
