namespace Whatsit.Benchmarks.Contestants;

/// <summary>How each server is started.</summary>
internal static class Starter
{
    /// <summary>Our server as it is published, with its default settings.</summary>
    /// <param name="folder">Where it was published to.</param>
    /// <param name="name">As the tables say it.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="variant">The variant of its weights.</param>
    public static Task<Contestant> WhatsitAsync(string folder, string name, string model, string variant) => Contestant.StartAsync(
        name,
        variant,
        [Path.Combine(folder, "Whatsit.Server"), "--urls", "http://127.0.0.1:{port}"],
        new() { ["Catalog__Models"] = Repository.PathOf("models"), ["Catalog__DefaultModel"] = model, ["Catalog__Variant"] = variant },
        "/predict",
        "/health/ready");
}
