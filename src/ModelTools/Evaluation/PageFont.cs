namespace Whatsit.ModelTools.Evaluation;

/// <summary>The page's typeface, for what shall look like it and needs no network. Without a built page the system's takes its place.</summary>
internal static class PageFont
{
    /// <summary>A style rule with the font inside, or nothing.</summary>
    /// <param name="program">The program's folder, where the built page may lie.</param>
    public static string Face(string program)
    {
        var page = new DirectoryInfo(Path.Combine(program, "wwwroot"));
        return page.Exists && page.EnumerateFiles("archivo-latin-wght-normal*.woff2", SearchOption.AllDirectories).FirstOrDefault() is { } font
            ? "@font-face { font-family: 'Archivo'; font-weight: 400 900; " +
            $"src: url('data:font/woff2;base64,{Convert.ToBase64String(File.ReadAllBytes(font.FullName))}') format('woff2') }}\n" : "";
    }
}
