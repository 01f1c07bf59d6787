import httpx


async def test_every_model_is_listed_with_what_is_deployed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models")
    assert answer.status_code == 200, answer.text
    models = {model["name"]: model for model in answer.json()["models"]}
    assert sorted(models) == ["other-moths", "tiny-moths"]
    tiny = models["tiny-moths"]
    assert tiny["versions"] == ["1.0.0", "1.1.0"]
    assert (tiny["deployed"]["version"], tiny["deployed"]["epoch"]) == ("1.0.0", 1)
    assert tiny["is_default"]
    assert not models["other-moths"]["is_default"]
