namespace Whatsit.Inference.Tests.OnnxRuntime;

/// <summary>The models that tests/data/onnx/make.py writes.</summary>
internal static class Fixtures
{
    public static string Affine => File("affine");

    public static string Types => File("types");

    public static string Strings => File("strings");

    public static string Many => File("many");

    public static string Loop => File("loop");

    private static string File(string name)
    {
        string root = AppContext.BaseDirectory;
        while (!System.IO.File.Exists(Path.Combine(root, "Server.sln")))
        {
            root = Path.GetDirectoryName(root) ?? throw new DirectoryNotFoundException("No Server.sln above " + AppContext.BaseDirectory);
        }

        return Path.Combine(root, "tests", "data", "onnx", name + ".onnx");
    }
}
