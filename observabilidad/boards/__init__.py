"""Grafana's dashboards as code: queries, panels, and one module per dashboard."""
