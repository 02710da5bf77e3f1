using System.ComponentModel.DataAnnotations;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Tests.Catalog;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>No package has all of them: DirectML is Windows' alone, and has a package of its own.</summary>
public sealed class ExecutionProvidersTests
{
    [Fact]
    public void The_processor_computes_unless_something_else_was_asked_for()
    {
        Assert.Equal(["cpu"], ExecutionProviders.Choose(new OnnxBackendOptions()));
        Assert.Null(ExecutionProviders.Missing(new OnnxBackendOptions()));
        Assert.Contains("cpu", ExecutionProviders.Available);
        Assert.Empty(Problems(new OnnxBackendOptions { ExecutionProviders = ["CPU"] }));
    }

    [Fact]
    public void What_comes_after_the_processor_is_never_used_and_need_not_be_there() =>
        Assert.Empty(Problems(new OnnxBackendOptions { ExecutionProviders = ["cpu", "dml"] }));

    [Fact]
    public void A_provider_that_is_missing_is_named_with_what_is_there()
    {
        Assert.SkipWhen(ExecutionProviders.Available.Contains("dml"), "This package has DirectML.");
        var options = new OnnxBackendOptions { ExecutionProviders = ["dml"] };
        var there = string.Join(", ", ExecutionProviders.Available);
        Assert.Equal([$"This build of ONNX Runtime has no 'dml'; it has {there}. OnnxRuntime:Fallback=true goes on without it."], Problems(options));
    }

    [Fact]
    public async Task Where_that_is_allowed_the_next_one_takes_its_place()
    {
        Assert.SkipWhen(ExecutionProviders.Available.Contains("dml"), "This package has DirectML.");
        var options = new OnnxBackendOptions { ExecutionProviders = ["dml", "cpu"], Fallback = true };
        Assert.Empty(Problems(options));
        Assert.Equal(["cpu"], ExecutionProviders.Choose(options));

        await using var models = new TinyCatalog(options);
        await models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal("1", models.Version);
        Assert.Contains("Warning: This build of ONNX Runtime has no 'dml'", string.Join('\n', models.Log), StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_no_provider_has_is_refused_with_the_names_even_where_falling_back_is_allowed() => Assert.Equal(
        ["There is no execution provider 'gpu'; the names are cpu, cuda, tensorrt, dml, coreml, openvino."],
        Problems(new OnnxBackendOptions { ExecutionProviders = ["gpu"], Fallback = true }));

    [Theory]
    [InlineData(false, "auto", "int8")]
    [InlineData(true, "auto", "fp32")]
    [InlineData(true, "int8", "int8")]
    public void Int8_is_taken_unasked_where_the_processor_computes(bool onDevice, string configured, string expected)
    {
        var file = new BundleFile("model.onnx", 1, "", Approved: true);
        var manifest = TinyCatalog.Manifest("1") with { Files = new Dictionary<string, BundleFile> { ["fp32"] = file, ["int8"] = file } };
        Assert.SkipUnless(Variants.HasFastInt8 || expected != "int8" || configured == "int8", "This processor has no fast int8.");
        Assert.Equal(expected, Variants.Choose(manifest, configured, onDevice));
    }

    private static IEnumerable<string?> Problems(OnnxBackendOptions options)
    {
        var problems = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), problems, validateAllProperties: true);
        return problems.Select(problem => problem.ErrorMessage);
    }
}
