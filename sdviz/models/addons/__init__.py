"""What is put on a model or beside it: LoRAs, VAEs, embeddings, safety checker, watermark,
scores.
"""
