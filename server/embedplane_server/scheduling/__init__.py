"""Queue, token budget and admission; knows neither HTTP nor engine libraries."""
